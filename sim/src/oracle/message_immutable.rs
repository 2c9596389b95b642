//! A message is the same when it arrives as when it was sent.

use super::{Card, Fact, Invariant, Known, Needs, Sort, Verdict, When};

static CARD: Card = Card {
    id: "message-immutable",
    property: "Bytes do not change on the way",
    source: "the laboratory's network copies nothing and changes nothing; neither may a server",
    lesson: "Sharing memory between servers, or with a message that has left, is a bug that no real network has \
             and that hides real ones.",
    watches: &[Sort::Delivered],
    when: When::Before,
    needs: Needs::Nothing,
};

/// See the card.
pub struct MessageImmutable;

impl Invariant for MessageImmutable {
    fn card(&self) -> &'static Card {
        &CARD
    }

    fn before(&mut self, _: &Known, fact: &Fact<'_>) -> Verdict {
        let Fact::Delivered { packet, .. } = fact else { return Ok(()) };
        if xxhash_rust::xxh3::xxh3_64(&packet.body) != packet.hash {
            let (from, to, kind) = (packet.from, packet.to, packet.kind);
            return Err(format!("{kind} from {from} to {to} changed on the way"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Story, packet};
    use super::*;
    use bytes::Bytes;

    #[test]
    fn a_changed_byte_is_seen() {
        let mut story = Story::new(2, MessageImmutable);
        let mut message = packet(1, 2);
        assert_eq!(story.tell(&Fact::Delivered { packet: &message, wire: None }), Ok(()));
        message.body = Bytes::from_static(b"b0dy");
        assert!(story.tell(&Fact::Delivered { packet: &message, wire: None }).is_err());
    }
}
