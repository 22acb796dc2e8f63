#!/usr/bin/env bash
# The GPU checklist. Build on any machine with `cargo build --release`, carry the repository with
# `mstar` and `mstar-worker`, in one folder, to one with a GPU and PyTorch 2.11, and call there:
#
#     tests/gpu/run.sh [BINARY] [OUTPUT FOLDER]
#
# One binary serves CPU and CUDA: it is linked against libtorch_cpu, and finds libtorch_cuda beside
# it when a GPU is asked for. Every check prints `ok` or `FAILED`; the last line counts them.
set -uo pipefail
cd "$(dirname "$0")/../.."
binary=${1:-target/release/mstar}
out=${2:-$(mktemp -d)}
libraries=$(python3 -c 'import torch, os; print(os.path.join(torch.__path__[0], "lib"))')
export LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
passed=0 failed=0

check() { # name, command…
  local name=$1 begin; shift
  begin=$(date +%s.%N)
  if "$@" >"$out/$name.log" 2>&1; then
    passed=$((passed + 1)); state=ok
  else
    failed=$((failed + 1)); state=FAILED; tail -n 20 "$out/$name.log"
  fi
  printf '%-28s %-7s %6.1f s\n' "$name" "$state" "$(echo "$(date +%s.%N) - $begin" | bc)"
}

same_answers() { # greedy decoding must agree between the devices on every prompt tried
  local question
  "$binary" data preview --count 1 --output "$out/preview.png" || return 1
  for question in "area of rectangle ?" "bar red + blue ?" "count circle x square ?"; do
    local cpu cuda
    cpu=$("$binary" sample builtin:mini-vlm "$question" --device cpu --format json) || return 1
    cuda=$("$binary" sample builtin:mini-vlm "$question" --device cuda --format json) || return 1
    [ "$cpu" = "$cuda" ] || { echo "$question: cpu $cpu, cuda $cuda"; return 1; }
  done
}

accuracy_rises() { # the final policy is at least 30 points above the warmed-up one
  "$binary" --store "$out/store" report --format json | python3 -c '
import json, sys
rows = [e for e in json.load(sys.stdin)["members"][0]["evaluations"]
        if e["split"] == "test" and e.get("branch") != "control"]
first, last = rows[0]["accuracy"], rows[-1]["accuracy"]
print(f"test accuracy {first:.3f} -> {last:.3f}")
sys.exit(last - first < 0.30)'
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv
check doctor "$binary" doctor
check same-answers same_answers
check quickstart "$binary" --store "$out/store" run recipes/quickstart.toml --device cuda
check accuracy-rises accuracy_rises
check quickstart-bf16 "$binary" --store "$out/store-bf16" run recipes/quickstart.toml \
  --device cuda --set policy.dtype=bf16
check nothing-to-do "$binary" --store "$out/store" run recipes/quickstart.toml --device cuda
check missing-device bash -c "! $binary --store $out/none run recipes/quickstart.toml --device cuda:63"
cat "$out/accuracy-rises.log" 2>/dev/null
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
