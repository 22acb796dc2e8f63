#!/usr/bin/env python3
"""Runs the experiments into one store and writes what came of them.

    python3 experiments/run.py                    # all of them, as `make experiments` does
    python3 experiments/run.py final selection    # some
    python3 experiments/run.py final --with "--base my.toml --only *,seed=0" --output /tmp/out

For each experiment it writes `NAME/figure.svg`, and into README.md, below the line that says so, the
table, the findings and the cost. Numbers and verdicts are those of `mstar report`; nothing is judged
here.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import re
import shlex
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
OF_THE_PAPER = ["training-methods", "selection", "prompts", "dynamics", "balancing", "verifiers", "final"]
NAMES = [*OF_THE_PAPER, "reward"]
MARK = "<!-- What follows is written by `make experiments`. -->"


def said(command, **options):
    """The standard output of a command; what it says besides goes on to the terminal."""
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def machine():
    """Processor, cores and memory, in words."""
    about = pathlib.Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", about.read_text()) if about.exists() else []
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    return f"{names[0] if names else platform.machine()}, {cores} cores, {memory:.0f} GiB"


def minutes(seconds):
    """Such as 12.3 min."""
    return f"{seconds / 60:.1f} min"


def responses(stage):
    """Responses that a stage draws, by the plan."""
    drawing = stage["kind"] in ("explore", "monitor", "evaluate", "label")
    return stage["estimate"]["samples"] or 0 if drawing else 0


def seconds_taken(store):
    """The seconds that each stage took, by its key, from the logs of all runs in a store."""
    taken = {}
    for log in pathlib.Path(store).glob("run-v*/*/events.jsonl"):
        for line in log.read_text().splitlines():
            said = json.loads(line)
            if said["event"] in ("stage-finished", "stage-failed"):
                taken[said["key"]] = taken.get(said["key"], 0.0) + said["seconds"]
    return taken


def described(text, key):
    """The value of a key at the top of an experiment file."""
    found = re.search(rf'^{key} = "(.*)"$', text, re.MULTILINE)
    return found.group(1) if found else ""


class Experiments:
    def __init__(self, arguments):
        self.store = arguments.store
        self.mstar = shlex.split(arguments.mstar) + ["--store", self.store]
        self.over = shlex.split(arguments.over)
        self.output = pathlib.Path(arguments.output)
        self.names = arguments.names or NAMES

    def path(self, name):
        return os.path.relpath(HERE / name / "experiment.toml")

    def plan(self, name):
        plan = said([*self.mstar, "plan", self.path(name), "--format", "json", *self.over])
        return json.loads(plan)

    def section(self, name):
        """Runs an experiment and tells of it."""
        subprocess.run(
            [*self.mstar, "run", self.path(name), *self.over],
            check=True, stdout=subprocess.DEVNULL,
        )
        report = json.loads(said([*self.mstar, "report", "--format", "json"]))
        table = said([*self.mstar, "report", "--format", "markdown"])
        folder = self.output / name
        folder.mkdir(parents=True, exist_ok=True)
        figure = said([*self.mstar, "report", "--format", "svg"])
        (folder / "figure.svg").write_text(figure)
        text = (HERE / name / "experiment.toml").read_text()
        seeds = sorted({str(it["values"].get("seed", "")) for it in report["members"]} - {""})
        claims = [it["says"] for it in report["table"]["findings"]]
        lines = [
            f"## {name}",
            f"{described(text, 'description')}. [The experiment]({name}/experiment.toml); under test: "
            f"{'; '.join(claims)}.",
            "```sh\nmstar run experiments/" + name + "/experiment.toml\n```",
            f"Seeds {', '.join(seeds)}; {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}.",
            table.strip(),
            f"![{name}]({name}/figure.svg)",
        ]
        return "\n\n".join(lines)

    def cost(self, plans):
        """What the members would cost apart, and what they cost in one store."""
        rows = ["| experiment | members | stages apart | new | responses apart | new | time apart | new |",
                "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
        known, totals, taken, said = set(), [0] * 7, seconds_taken(self.store), []
        for number, (name, plan) in enumerate(plans.items(), 1):
            stages = plan["stages"]
            new = [stage for stage in stages if stage["key"] not in known]
            known |= {stage["key"] for stage in stages}
            row = [len(plan["members"])]
            for amount in (lambda stage: 1, responses, lambda stage: taken.get(stage["key"], 0.0)):
                row.append(sum(amount(stage) * len(stage["members"]) for stage in stages))
                row.append(sum(amount(stage) for stage in new))
            totals = [total + part for total, part in zip(totals, row)]
            rows.append(self.row(name, row))
            if number < len(plans) and list(plans)[:number] == OF_THE_PAPER:
                rows.append(self.row("**those of the paper**", totals))
                said.append(self.saving("those of the paper draw", totals))
        rows.append(self.row("**all**", totals))
        said.append(self.saving("all of them draw", totals))
        measured = "Times are seconds during which workers were at the stages, as the logs of these runs have them."
        return "\n\n".join(["## What sharing saves", "\n".join(rows), " ".join([*said, measured])])

    @staticmethod
    def saving(subject, totals):
        """What experiments in one store cost beside what their members would cost apart, in words."""
        _, _, _, drawn_apart, drawn, apart, together = totals
        said = f"In one store {subject} {drawn / drawn_apart:.0%} of the responses that their members would draw apart"
        if apart:
            said += f", and take {minutes(together)}, {together / apart:.1%} of the {minutes(apart)}"
        return said + "."

    @staticmethod
    def row(name, row):
        members, apart, new, drawn_apart, drawn, seconds_apart, seconds = row
        times = [minutes(it) if seconds_apart else "–" for it in (seconds_apart, seconds)]
        cells = [name, members, apart, new, f"{drawn_apart:,}", f"{drawn:,}", *times]
        return f"| {' | '.join(map(str, cells))} |"

    def write(self):
        version = said([*self.mstar, "--version"]).strip()
        sections = [self.section(name) for name in self.names]
        plans = {name: self.plan(name) for name in self.names}
        head = "\n\n".join([
            "## Results",
            f"{version}; {machine()}. Means over the seeds with 95 % intervals. A finding *shows* when the "
            "interval of the paired difference lies above zero, *the opposite shows* when it lies below, "
            "and else it *does not separate*.",
        ])
        readme = self.output / "README.md"
        if not readme.exists():
            shutil.copy(HERE / "README.md", readme)
        kept = readme.read_text().split(MARK)[0].rstrip()
        parts = [kept, MARK, head, *sections, self.cost(plans)]
        readme.write_text("\n\n".join(parts) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments; all by default")
    parser.add_argument("--mstar", default="mstar", help="how mstar is called")
    parser.add_argument("--store", default=".mstar", help="the one store")
    parser.add_argument("--with", dest="over", default="", help="options for every plan and run")
    parser.add_argument("--output", default=str(HERE), help="the folder that is written to")
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"no experiment is called {', '.join(sorted(unknown))}: there are {', '.join(NAMES)}")
    try:
        Experiments(arguments).write()
    except subprocess.CalledProcessError as failed:
        # mstar has said why.
        sys.exit(f"stopped by exit code {failed.returncode}: {shlex.join(failed.cmd)}")


if __name__ == "__main__":
    main()
