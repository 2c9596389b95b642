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
# Without a bound it goes on until it is interrupted. It ends with 0 if nothing failed and with 1 otherwise.
#
#   scripts/stress.sh --for 8h -- raft                       # overnight
#   scripts/stress.sh --until-failure -- chaos chaos-snapshot
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//'; }
die() { echo "stress: $*" >&2; exit 2; }
number() { [[ $2 =~ ^[0-9]+$ ]] || die "$1 takes a number, not \`$2\`"; }

rounds="" seconds="" until_failure="" seeds=200 from="" failures=target/stress-failures.txt
while [ $# -gt 0 ]; do
  case $1 in
    --rounds | --for | --seeds | --from | --failures) [ $# -ge 2 ] || die "$1 takes a value; see --help" ;;
  esac
  case $1 in
    --rounds) number "$1" "$2"; rounds=$2; shift 2 ;;
    --for)
      [[ $2 =~ ^([0-9]+)([smh])$ ]] || die "--for takes a time such as 90s, 30m or 8h, not \`$2\`"
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

cargo build --release --quiet
shardlab=target/release/shardlab
mkdir -p "$(dirname "$failures")"
from=${from:-$(($(date +%s) * 1000))}
started=$SECONDS round=0 failed=0 output=$(mktemp)
trap 'rm -f "$output"' EXIT
echo "stress: rounds of $seeds seeds from $from on; failures go to $failures"

while { [ -z "$rounds" ] || [ $round -lt "$rounds" ]; } && { [ -z "$seconds" ] || [ $((SECONDS - started)) -lt "$seconds" ]; }; do
  first=$((from + round * seeds)) last=$((from + (round + 1) * seeds))
  code=0
  "$shardlab" run "$@" --seeds "$first..$last" --quiet > "$output" || code=$?
  round=$((round + 1))
  case $code in
    0) ;;
    1 | 3)
      failed=$((failed + 1))
      # One line for what it is, one for how to see it again.
      grep -E '^(VIOLATED|HUNG|DIED|DIVERGED|UNKNOWN) |^  Replay it:' "$output" | tee -a "$failures" ;;
    *) cat "$output"; exit $code ;; # what the command line got wrong is wrong each time
  esac
  echo "stress: round $round, seeds $first..$last, $((SECONDS - started)) s: $(tail -n 1 "$output")"
  if [ -n "$until_failure" ] && [ $failed -gt 0 ]; then break; fi
done
echo "stress: $round rounds, $failed of them with failures"
[ $failed -eq 0 ]
