//! Files and names. What a power failure leaves of them only the simulator can show.

use crate::world::{S1, World};
use labrpc::DiskError;

pub async fn files_are_written_read_and_cut<W: World>(world: W) {
    let disk = world.env(S1).disk();
    disk.append("f", &b"hello"[..]).await.unwrap();
    disk.append("f", &b" world"[..]).await.unwrap();
    assert_eq!(disk.read("f").await.unwrap(), b"hello world");
    disk.sync("f").await.unwrap();
    disk.write_at("f", 6, &b"W"[..]).await.unwrap();
    assert_eq!(disk.read("f").await.unwrap(), b"hello World");
    disk.truncate("f", 5).await.unwrap();
    disk.append("f", &b"!"[..]).await.unwrap();
    assert_eq!((disk.read("f").await.unwrap(), disk.len("f").await), (b"hello!".to_vec(), Ok(6)));
    disk.truncate("f", 8).await.unwrap();
    assert_eq!(disk.read("f").await.unwrap(), b"hello!\0\0", "what is added is zeros");
    disk.write_at("f", 10, &b"x"[..]).await.unwrap();
    disk.append("f", &b"y"[..]).await.unwrap();
    assert_eq!(disk.read("f").await.unwrap(), b"hello!\0\0\0\0xy", "a gap reads as zeros");
    disk.write_at("new", 2, &b"x"[..]).await.unwrap();
    assert_eq!(disk.read("new").await.unwrap(), b"\0\0x");
    disk.append("empty", &b""[..]).await.unwrap();
    assert_eq!(disk.len("empty").await, Ok(0));
}

pub async fn what_is_appended_and_synced_in_one_stands_behind_what_was_there<W: World>(world: W) {
    let disk = world.env(S1).disk();
    disk.append_and_sync("f", &b"one"[..]).await.unwrap();
    disk.append("f", &b" two"[..]).await.unwrap();
    disk.append_and_sync("f", &b" three"[..]).await.unwrap();
    assert_eq!(disk.read("f").await.unwrap(), b"one two three");
}

pub async fn names_are_changed_listed_and_removed<W: World>(world: W) {
    let disk = world.env(S1).disk();
    assert_eq!(disk.list().await, Ok(vec![]));
    for name in ["b", "a", "c.tmp"] {
        disk.append(name, name.to_string()).await.unwrap();
    }
    assert_eq!(disk.list().await.unwrap(), ["a", "b", "c.tmp"]);
    disk.rename("c.tmp", "a").await.unwrap();
    assert_eq!(
        (disk.list().await.unwrap().join(" "), disk.read("a").await.unwrap()),
        ("a b".into(), b"c.tmp".to_vec())
    );
    disk.append("a", &b"+"[..]).await.unwrap();
    assert_eq!(disk.read("a").await.unwrap(), b"c.tmp+", "the file goes on under its new name");
    disk.append("c.tmp", &b"another"[..]).await.unwrap();
    assert_eq!(disk.read("c.tmp").await.unwrap(), b"another");
    disk.remove("b").await.unwrap();
    disk.append("b", &b"1"[..]).await.unwrap();
    assert_eq!(disk.read("b").await.unwrap(), b"1", "nothing is left of a file that was removed");
    disk.sync_dir().await.unwrap();
    assert_eq!(disk.list().await.unwrap(), ["a", "b", "c.tmp"]);
}

pub async fn what_is_not_there_is_named_and_harms_nothing<W: World>(world: W) {
    let disk = world.env(S1).disk();
    let missing = DiskError::NotFound("f".into());
    assert_eq!(disk.read("f").await, Err(missing.clone()));
    assert_eq!(disk.len("f").await, Err(missing.clone()));
    assert_eq!(disk.truncate("f", 1).await, Err(missing.clone()));
    assert_eq!(disk.sync("f").await, Err(missing.clone()));
    assert_eq!(disk.remove("f").await, Err(missing.clone()));
    assert_eq!(disk.rename("f", "g").await, Err(missing));
    assert_eq!(disk.list().await, Ok(vec![]));
    disk.append("f", &b"x"[..]).await.unwrap();
    disk.sync("f").await.unwrap();
}

pub async fn what_was_written_survives_the_end_of_a_process<W: World>(world: W) {
    for boot in 0..3u8 {
        let disk = world.env(S1).disk();
        disk.append("f", vec![boot]).await.unwrap();
        disk.sync("f").await.unwrap();
        disk.sync_dir().await.unwrap();
        // Not synced, and there all the same: the machine goes on.
        disk.append("g", vec![boot]).await.unwrap();
        world.restart(S1).await;
        let disk = world.env(S1).disk();
        let all: Vec<u8> = (0..=boot).collect();
        assert_eq!((disk.read("f").await.unwrap(), disk.read("g").await.unwrap()), (all.clone(), all));
        assert_eq!(disk.list().await.unwrap(), ["f", "g"]);
    }
}

pub async fn a_directory_can_be_claimed_again_by_whoever_has_it_and_by_the_next_boot<W: World>(world: W) {
    for _ in 0..3 {
        let disk = world.env(S1).disk();
        assert_eq!(disk.lock().await, Ok(()));
        assert_eq!(disk.lock().await, Ok(()));
        world.restart(S1).await;
    }
}
