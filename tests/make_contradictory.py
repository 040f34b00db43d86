"""Make files that contradict themselves from sound ones, and see what becomes of them.

    python -m tests.make_contradictory                      judge all of them, and count outcomes
    python -m tests.make_contradictory --write FOLDER       write them
    python -m tests.make_contradictory --from FILE ...      from other sound files

Each contradiction is a function in tests/contradictory, with what is right for it and the clause
that says so.
"""

import argparse
import sys
import tempfile
import warnings
from collections import defaultdict
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np

from dicom_preprocessing.dicom.reading import silence_pydicom_warnings
from tests.contradictory import (
    colours,
    encodings,
    facts,
    groups,
    paddings,
    precision,
    streams,
    transforms,
)
from tests.contradictory.judge import describe_counts, judge
from tests.contradictory.kinds import CONTRADICTIONS, Contradiction, Sound
from tests.contradictory.sound import CODECS, NATIVE, sound_files

KINDS = (encodings, streams, precision, colours, transforms, groups, paddings, facts)
"""Modules that fill ``CONTRADICTIONS``."""

SOUNDS_PER_VARIANT = 12
"""Of a run over all contradictions; there are many more of most of them."""


@dataclass(frozen=True, eq=False)
class Plan:
    """A product that is not made yet."""

    contradiction: Contradiction
    variant: str
    sound: Sound

    @property
    def name(self):
        return self.contradiction.product_name(self.variant, self.sound)

    def make(self):
        """The product, None if the contradiction does not apply after all."""
        return self.contradiction.product(self.sound, self.variant)


def plans(sounds=None):
    """A plan for every contradiction of every sound file that has it, in a fixed order."""
    used = list((sound_files() if sounds is None else sounds).values())
    return [
        Plan(contradiction, variant, sound)
        for contradiction in CONTRADICTIONS
        for sound in used
        if contradiction.applies(sound)
        for variant in contradiction.variants or ("",)
    ]


def choose(planned, per_variant, seed=0):
    """At most ``per_variant`` plans of each variant of each contradiction, in the same order."""
    generator = np.random.default_rng(seed)
    by_variant = defaultdict(list)
    for plan in planned:
        by_variant[plan.contradiction.name, plan.variant].append(plan)
    chosen = set()
    for group in by_variant.values():
        places = generator.permutation(len(group))[:per_variant]
        chosen.update(group[place].name for place in places)
    return [plan for plan in planned if plan.name in chosen]


def judge_all(planned, folder):
    """The verdict on each product, by its plan."""
    path = Path(folder) / "product.dcm"
    verdicts = {}
    for plan in planned:
        product = plan.make()
        if product is not None:
            verdicts[plan] = judge(product, path)
    return verdicts


def describe(verdicts):
    """A table of the outcomes of each kind, from verdicts by plan."""
    return describe_counts([(plan.contradiction.kind, v) for plan, v in verdicts.items()])


def _sounds_from(paths):
    """Sound files of the user, by names as of those that are made here."""
    sounds = [Sound(path.stem, path.read_bytes()) for path in paths]
    return {sound.name: replace(sound, name=_name_of(sound)) for sound in sounds}


def _name_of(sound):
    """KIND-CODEC-FRAMES; of the kind ``file`` where contradictions need more than it has."""
    known = NATIVE | {name: codec.syntax for name, codec in CODECS.items()}
    codec = next((name for name, syntax in known.items() if syntax == sound.syntax), "other")
    needed = ("RescaleSlope", "WindowCenter", "WindowWidth")
    is_simple = sound.is_grey and all(isinstance(sound.get(k), float) for k in needed)
    sign = "s" if sound.get("PixelRepresentation") else "u"
    kind = f"grey{sound.get('BitsStored')}{sign}" if is_simple else f"file_{sound.name}"
    return f"{kind.replace('-', '_')}-{codec}-{sound.frames}"


def _write(planned, folder):
    """Write all products, with their names as those of files."""
    folder.mkdir(parents=True, exist_ok=True)
    for plan in planned:
        product = plan.make()
        if product is not None:
            (folder / f"{plan.name.replace('/', '-').replace(':', '-')}.dcm").write_bytes(
                product.content
            )


def main(argv=None):
    """Run the command; the exit status is 1 if a product is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Formatter)
    parser.add_argument("--write", type=Path, metavar="FOLDER")
    parser.add_argument("--from", type=Path, nargs="+", metavar="FILE", dest="sources")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="of names of products")
    parser.add_argument(
        "--sounds",
        type=int,
        default=SOUNDS_PER_VARIANT,
        metavar="N",
        help="sound files for each variant of a contradiction (%(default)s)",
    )
    arguments = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    silence_pydicom_warnings()
    sounds = _sounds_from(arguments.sources) if arguments.sources else None
    planned = choose(plans(sounds), arguments.sounds)
    planned = [plan for plan in planned if fnmatchcase(plan.name, arguments.only)]
    if arguments.write:
        _write(planned, arguments.write)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        verdicts = judge_all(planned, folder)
    wrong = {plan.name: verdict for plan, verdict in verdicts.items() if not verdict.is_good}
    for name, verdict in wrong.items():
        print(f"{name}: {verdict.outcome}: {verdict.detail}")
    print(describe(verdicts))
    return int(bool(wrong))


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of the description."""


if __name__ == "__main__":
    sys.exit(main())
