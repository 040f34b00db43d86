#!/usr/bin/env bash
# Run the workflow in shards on SLURM: the index on this host, an array of shards, then a gather job.
#
#     workflow/cluster/submit.sh SHARDS [options of snakemake]
#
# The resources of a job are in shard.sbatch and gather.sbatch. SBATCH_PARTITION, SBATCH_ACCOUNT and the like
# take effect, and SHARD_OPTIONS and GATHER_OPTIONS are passed to sbatch.
# To run again what failed, submit again: what is finished takes seconds.
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

scripts=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
checkout=$(dirname "$(dirname "$scripts")")
snakemake=$checkout/.venv/bin/snakemake
if ! [ -x "$snakemake" ]; then
  snakemake=$(command -v snakemake) || fail "no snakemake; make run sets it up"
fi
command -v sbatch >/dev/null || fail "no sbatch: this host cannot submit to SLURM"

# Refuse profiles that would give the shards other settings than the index, or submit jobs of studies.
check_profile() {
  local folder
  for folder in "$1" "${XDG_CONFIG_HOME:-$HOME/.config}/snakemake/$1" "/etc/xdg/snakemake/$1"; do
    if grep -qs '^config:' "$folder"/config*.yaml; then
      fail "$1 has keys under config:, which a shard's own replace. Give them by --config or --configfile."
    fi
    if grep -qs '^executor:' "$folder"/config*.yaml; then
      fail "$1 submits one job per study, and a shard runs on its own: leave it out, or call snakemake with it."
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
    -e* | --executor | --executor=*) fail "a shard runs on its own: leave out ${word%%=*}" ;;
    shard=* | gather=*) fail "${word%%=*} is set by this script for each job: leave it out" ;;
    --) fail "a shard makes all results of its studies: leave out -- and what follows it" ;;
  esac
done

max=$(scontrol show config 2>/dev/null | awk '$1 == "MaxArraySize" {print $3}') || true
if [ -n "$max" ] && [ "$shards" -gt "$max" ]; then fail "SLURM takes at most $max shards here (MaxArraySize)"; fi

# Three lists. Of two --config Snakemake would take the last, so all keys are put into one. --forcerun is
# for the shards only: it names rules or files of studies, which index and gather do not have.
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
# SHARD_OPTIONS is split into words, and may be empty. An --array in it overrides this one.
# shellcheck disable=SC2086
array=$(sbatch --parsable --array="0-$((shards - 1))" ${SHARD_OPTIONS:-} "$scripts/shard.sbatch" "${words[@]}")
array=${array%%;*}
echo "Shards: job $array, logs/cluster/$array-shard-*.log"

words=("${command[@]}" "${options[@]}" --config "${keys[@]}" shard=null "gather=$shards")
# shellcheck disable=SC2086
gather=$(sbatch --parsable ${GATHER_OPTIONS:-} --dependency="afterany:$array" \
  "$scripts/gather.sbatch" "${words[@]}") \
  || fail "the shards are submitted, the gather job is not. When they have ended: ${words[*]@Q} --cores 2"
gather=${gather%%;*}
echo "Gather: job $gather, logs/cluster/$gather-gather.log: it says which shards have not finished"
