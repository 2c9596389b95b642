#!/usr/bin/env bash
# Runs campaigns one after the other, each over fresh seeds, until a number of rounds, a time or a failure.
#
#   scripts/stress.sh [options] [-- anything that `shardlab run` takes]
#
#   --rounds N        stop after N rounds
#   --for TIME        stop after a time: 90s, 30m, 8h
#   --until-failure   stop after the first round with a failure
#   --seeds N         seeds of each scenario in a round (default 200)
#   --from SEED       the first seed (default: one that no earlier run has used)
#   --failures FILE   where failing seeds and their replay commands go (default target/stress-failures.txt)
#
# Without a bound it goes on until it is interrupted. It ends with 0 if nothing failed, 1 if something did, 2 if the
# command line makes no sense or not a single round was made, 3 if something could not be decided: a run that hung
# or died, or a round that was cut short.
#
#   scripts/stress.sh --for 8h -- raft                       # overnight
#   scripts/stress.sh --until-failure -- chaos chaos-snapshot
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; }
die() { echo "stress: $*" >&2; exit 2; }
# Not 08, which is octal, and nothing that does not fit.
number() { [[ $2 =~ ^(0|[1-9][0-9]{0,14})$ ]] || die "$1 takes a number, not \`$2\`"; }

rounds="" seconds="" until_failure="" seeds=200 from="" failures=target/stress-failures.txt
while [ $# -gt 0 ]; do
  case $1 in
    --rounds | --for | --seeds | --from | --failures) [ $# -ge 2 ] || die "$1 takes a value; see --help" ;;
  esac
  case $1 in
    --rounds) number "$1" "$2"; rounds=$2; shift 2 ;;
    --for)
      [[ $2 =~ ^(0|[1-9][0-9]{0,14})([smh])$ ]] || die "--for takes a time such as 90s, 30m or 8h, not \`$2\`"
      case ${BASH_REMATCH[2]} in s) unit=1 ;; m) unit=60 ;; h) unit=3600 ;; esac
      seconds=$((BASH_REMATCH[1] * unit)); shift 2 ;;
    --until-failure) until_failure=yes; shift ;;
    --seeds) number "$1" "$2"; [ "$2" -gt 0 ] || die "--seeds takes at least 1"; seeds=$2; shift 2 ;;
    --from) number "$1" "$2"; from=$2; shift 2 ;;
    --failures) failures=$2; shift 2 ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    *) die "unknown option \`$1\`; what \`run\` takes goes behind \`--\`; see --help" ;;
  esac
done

# With the features of other builds, where there are some, nothing is built twice.
cargo build --release --quiet ${SHARDLAB_FEATURES:+--features "$SHARDLAB_FEATURES"}
shardlab=${CARGO_TARGET_DIR:-target}/release/shardlab
mkdir -p "$(dirname "$failures")"
from=${from:-$(($(date +%s) * 1000))}
started=$SECONDS round=0 failed=0 undecided=0 running="" output=$(mktemp)

# What a round had found when it was interrupted is kept too.
finish() {
  if [ -n "$running" ]; then { grep -A 1 '^FOUND ' "$output" | tee -a "$failures"; } || true; fi
  rm -f "$output"
}
trap finish EXIT
trap 'exit 130' INT TERM
echo "stress: rounds of $seeds seeds from $from on; failures go to $failures"

while { [ -z "$rounds" ] || [ $round -lt "$rounds" ]; } && { [ -z "$seconds" ] || [ $((SECONDS - started)) -lt "$seconds" ]; }; do
  first=$((from + round * seeds)) last=$((from + (round + 1) * seeds))
  code=0 running=yes
  "$shardlab" run "$@" --seeds "$first..$last" --quiet > "$output" || code=$?
  running=""
  case $code in
    0) ;;
    1) failed=$((failed + 1)) ;;
    3) undecided=$((undecided + 1)) ;;
    *) running=yes; cat "$output"; exit $code ;; # what the command line got wrong is wrong each time
  esac
  round=$((round + 1))
  # One line for what it is, one for how to see it again.
  if [ $code -ne 0 ]; then
    grep -E '^(VIOLATED|HUNG|DIED|DIVERGED) |^CUT SHORT|^  Replay it:' "$output" | tee -a "$failures"
  fi
  echo "stress: round $round, seeds $first..$last, $((SECONDS - started)) s: $(tail -n 1 "$output")"
  if [ -n "$until_failure" ] && [ $code -ne 0 ]; then break; fi
done
echo "stress: $round rounds, $failed of them with failures, $undecided undecided"
if [ $round -eq 0 ] && [ "$rounds" != 0 ]; then die "not a single round was made"; fi
if [ $failed -gt 0 ]; then exit 1; fi
if [ $undecided -gt 0 ]; then exit 3; fi
