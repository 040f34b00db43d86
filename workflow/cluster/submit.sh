#!/usr/bin/env bash
# Run the workflow in shards on SLURM: the index here, an array of shards, and a gather behind it.
#
#     workflow/cluster/submit.sh SHARDS [options of snakemake]
#
# What a job may use is in shard.sbatch and gather.sbatch. SBATCH_PARTITION, SBATCH_ACCOUNT and the like
# are heeded, and SHARD_OPTIONS and GATHER_OPTIONS are given to sbatch.
# To run again what failed, submit again: what is done takes seconds.
set -euo pipefail

if ! [[ ${1:-} =~ ^[1-9][0-9]*$ ]]; then
  sed -n '2,/^set/{s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
  exit 2
fi
shards=$1
shift

fail() {
  echo "error: $1" >&2
  exit 1
}

((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404)) || fail "needs bash 4.4 or newer, this is $BASH_VERSION"

here=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
checkout=$(dirname "$(dirname "$here")")
snakemake=$checkout/.venv/bin/snakemake
if ! [ -x "$snakemake" ]; then
  snakemake=$(command -v snakemake) || fail "no snakemake; make run sets it up"
fi
command -v sbatch >/dev/null || fail "no sbatch: this host cannot submit to SLURM"

# Refuse what would be other settings for the shards than for the index, or no shards at all.
check_profile() {
  local folder
  for folder in "$1" "${XDG_CONFIG_HOME:-$HOME/.config}/snakemake/$1" "/etc/xdg/snakemake/$1"; do
    if grep -qs '^config:' "$folder"/config*.yaml; then
      fail "$1 has keys under config:, which a shard's own replace. Give them by --config or --configfile."
    fi
    if grep -qs '^executor:' "$folder"/config*.yaml; then
      fail "$1 submits one job a study, and a shard works by itself: leave it out, or call snakemake with it."
    fi
  done
}
if [ -n "${SNAKEMAKE_PROFILE:-}" ]; then check_profile "$SNAKEMAKE_PROFILE"; fi
profile=""
for word in "$@"; do
  if [ -n "$profile" ]; then check_profile "$word"; fi
  profile=""
  case $word in
    --profile | --workflow-profile) profile=next ;;
    --profile=* | --workflow-profile=*) fail "write ${word%%=*} and its folder as two words" ;;
    -d* | --directory | --directory=*) fail "a shard works in a folder of its own: leave out ${word%%=*}" ;;
    -n* | -[Fkpq]*n* | --dry-run | --dryrun) fail "to see what would be done: snakemake $word, without shards" ;;
    -e* | --executor | --executor=*) fail "a shard works by itself: leave out ${word%%=*}" ;;
    shard=* | gather=*) fail "${word%%=*} is set here for each job: leave it out" ;;
    --) fail "a shard makes all results of its studies: leave out -- and what comes behind" ;;
  esac
done

most=$(scontrol show config 2>/dev/null | awk '$1 == "MaxArraySize" {print $3}') || true
if [ -n "$most" ] && [ "$shards" -gt "$most" ]; then fail "SLURM takes $most shards at most here (MaxArraySize)"; fi

# Three lists. Of two --config Snakemake would take the last, so keys are put into one. What is to be run
# again by force are jobs of studies, of which index and gather have none.
options=() keys=() forced=() into=options
for word in "$@"; do
  case $word in
    -C | --config) into=keys && continue ;;
    -C?*) into=keys word=${word#-C} ;;
    --config=*) into=keys word=${word#*=} ;;
    -R | --forcerun) into=forced && continue ;;
    -R?*) into=forced word=${word#-R} ;;
    --forcerun=*) into=forced word=${word#*=} ;;
    -*) into=options ;;
  esac
  case $into in
    keys) keys+=("$word") ;;
    forced) forced+=("$word") ;;
    *) options+=("$word") ;;
  esac
done
command=("$snakemake" --snakefile "$checkout/Snakefile")
if [ ${#forced[@]} -gt 0 ]; then forced=(--forcerun "${forced[@]}"); fi

"${command[@]}" --cores all "${options[@]}" --config "${keys[@]}" shard=null gather=null -- index

mkdir -p logs/cluster
words=("${command[@]}" "${options[@]}" "${forced[@]}" --config "${keys[@]}" "shard=@SHARD@,$shards" gather=null)
# The options are words, and may be none. An --array of theirs counts.
# shellcheck disable=SC2086
array=$(sbatch --parsable --array="0-$((shards - 1))" ${SHARD_OPTIONS:-} "$here/shard.sbatch" "${words[@]}")
array=${array%%;*}
echo "Shards: job $array, logs/cluster/$array-shard-*.log"

words=("${command[@]}" "${options[@]}" --config "${keys[@]}" shard=null "gather=$shards")
# shellcheck disable=SC2086
gather=$(sbatch --parsable ${GATHER_OPTIONS:-} --dependency="afterany:$array" \
  "$here/gather.sbatch" "${words[@]}") \
  || fail "the shards are submitted, their gather is not. When they have ended: ${words[*]@Q} --cores 2"
gather=${gather%%;*}
echo "Gather: job $gather, logs/cluster/$gather-gather.log: it says which shards have not finished"
