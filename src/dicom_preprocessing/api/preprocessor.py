"""Settings of the direct Python API, mapped onto the configuration of the workflow."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from dicom_preprocessing.config import PADDINGS, VOLUMES, Config
from dicom_preprocessing.config.recipe import Recipe, make_recipe
from dicom_preprocessing.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

FILTER_NAMES: Final = {
    "nearest": "nearest",
    "triangle": "triangle",
    "catmull": "catmull-rom",
    "catmullrom": "catmull-rom",
    "catmull-rom": "catmull-rom",
    "gaussian": "gaussian",
    "lanczos3": "lanczos3",
    "maxpool": "max-pool",
    "max-pool": "max-pool",
}
"""Filters of the configuration, by the names that are accepted."""

DIRECTIONS: Final = tuple(padding for padding in PADDINGS if padding != "none")
INTENSITY_OF: Final = {"default": "voi", "normalize": "minmax"}
PROJECTIONS: Final = ("parallel-beam", "central-slice")
MAX_COUNT: Final = 2**32 - 1
MAX_BORDER_FRAC: Final = 0.5
FLAGS: Final = ("crop", "crop_max", "use_components", "use_padding")
WINDOW_PARTS: Final = ("center", "width")


@dataclass(frozen=True, repr=False)
class VolumeHandler:
    """What several frames become; made by its methods, equal if the effect is equal.

    Raises
    ------
    ValueError
        A number is out of range, or a name is unknown; the message names the parameter.
    """

    kind: str = "keep"
    skip_start: int = 0
    skip_end: int = 0
    target_frames: int = 32
    mip_weight: float = 1.5
    projection_mode: str = "parallel-beam"

    def __post_init__(self) -> None:
        if self.kind not in VOLUMES:
            raise ConfigError(f"Invalid volume handler: {self.kind}")
        for name, minimum in (("skip_start", 0), ("skip_end", 0), ("target_frames", 1)):
            object.__setattr__(self, name, _parse_count(name, getattr(self, name), minimum))
        weight = _parse_number(self.mip_weight)
        if not (math.isfinite(weight) and weight >= 0):
            raise ConfigError(f"mip_weight must be finite and not negative, not {self.mip_weight}")
        object.__setattr__(self, "mip_weight", weight)
        mode = str(self.projection_mode).lower()
        if mode not in PROJECTIONS:
            raise ConfigError(f"Invalid projection mode: {self.projection_mode}")
        object.__setattr__(self, "projection_mode", mode)

    @staticmethod
    def keep() -> VolumeHandler:
        """Every frame."""
        return VolumeHandler("keep")

    @staticmethod
    def central_slice() -> VolumeHandler:
        """The middle frame, index n // 2."""
        return VolumeHandler("central-slice")

    @staticmethod
    def max_intensity(skip_start: int = 0, skip_end: int = 0) -> VolumeHandler:
        """The maximum over the frames, without the skipped ones at the ends."""
        return VolumeHandler("max-intensity", skip_start=skip_start, skip_end=skip_end)

    @staticmethod
    def interpolate(target_frames: int) -> VolumeHandler:
        """``target_frames`` frames, interpolated linearly from the first to the last."""
        return VolumeHandler("interpolate", target_frames=target_frames)

    @staticmethod
    def laplacian_mip(
        skip_start: int = 0,
        skip_end: int = 0,
        mip_weight: float = 1.5,
        projection_mode: str = "parallel-beam",
    ) -> VolumeHandler:
        """A projection with the fine detail of the maximum, for tomosynthesis.

        Parameters
        ----------
        skip_start, skip_end : int
            Frames that are left out at the ends.
        mip_weight : float
            Weight of the detail; 0 is the projection alone.
        projection_mode : str
            parallel-beam, the mean over the frames, or central-slice, the middle one.
        """
        return VolumeHandler(
            "laplacian-mip",
            skip_start=skip_start,
            skip_end=skip_end,
            mip_weight=mip_weight,
            projection_mode=projection_mode,
        )

    def __repr__(self) -> str:
        names = {
            "max-intensity": ("skip_start", "skip_end"),
            "interpolate": ("target_frames",),
            "laplacian-mip": ("skip_start", "skip_end", "mip_weight", "projection_mode"),
        }.get(self.kind, ())
        arguments = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"VolumeHandler.{self.kind.replace('-', '_')}({arguments})"


@dataclass(frozen=True)
class Preprocessor:
    """How images are preprocessed; the pixels are those of the workflow with the same settings.

    Parameters
    ----------
    crop : bool
        Crop to the foreground, which is all that is not 0.
    size : (width, height) or None
        Pixels to fit the image into; the aspect ratio is kept. Not with ``spacing``.
    spacing : (x, y) or (x, y, z) or None
        Pixel spacing to resample to, mm. A z of None leaves the frames as they are; z needs a
        volume handler that keeps them.
    filter : str
        nearest, triangle, catmull-rom (or catmull), gaussian, lanczos3, max-pool (or maxpool).
    padding_direction : str
        zero, top-left, bottom-right or center; takes effect with ``size``.
    crop_max : bool
        With ``crop``: the highest value of the data type is background too.
    volume_handler : str, VolumeHandler or None
        keep (also None), central-slice (or central), max-intensity, interpolate, laplacian-mip;
        by name without skipped frames.
    use_components : bool
        With ``crop``: keep the largest connected component only.
    use_padding : bool
        False leaves the image smaller than ``size``.
    border_frac : float or None
        With ``crop``: the fraction of width and height, 0 to 0.5, that is ignored at each edge
        and added again afterwards.
    target_frames : int
        Frames of the volume handler interpolate by name.
    convert_options : str
        Grey values: "default" is the window or look-up table of the object, "normalize" lowest to
        highest value, "CENTER,WIDTH" that window, in modality values.

    Names may be in upper or lower case. Attributes hold what is in effect, so that equal
    preprocessors do the same.

    Raises
    ------
    ValueError
        A value is not allowed; the message names the parameter and what was found.
    OverflowError
        A side of ``size`` is negative, or above 4294967295.
    """

    crop: bool = True
    size: Sequence[int] | None = None
    spacing: Sequence[float | None] | None = None
    filter: str = "triangle"
    padding_direction: str = "zero"
    crop_max: bool = True
    volume_handler: str | VolumeHandler | None = None
    use_components: bool = True
    use_padding: bool = True
    border_frac: float | None = None
    target_frames: int = 32
    convert_options: str = "default"

    def __post_init__(self) -> None:
        for name in FLAGS:
            object.__setattr__(self, name, _parse_flag(name, getattr(self, name)))
        if self.size is not None and self.spacing is not None:
            raise _make_field_error("size/spacing", "only one of them can be used")
        target_frames = _parse_target_frames(self.target_frames)
        normal: dict[str, Any] = {
            "size": None if self.size is None else _parse_size(self.size),
            "spacing": None if self.spacing is None else _parse_spacing(self.spacing),
            "filter": _match_name(self.filter, FILTER_NAMES, "filter type"),
            "padding_direction": _match_name(
                self.padding_direction, {name: name for name in DIRECTIONS}, "padding direction"
            ),
            "volume_handler": _parse_handler(self.volume_handler, target_frames),
            "border_frac": None if self.border_frac is None else _parse_border(self.border_frac),
            "target_frames": target_frames,
            "convert_options": _parse_convert_options(self.convert_options),
        }
        for name, value in normal.items():
            object.__setattr__(self, name, value)

    @cached_property
    def config(self) -> Config:
        """The same as a configuration of the workflow."""
        handler, options = self.volume_handler, self.convert_options
        assert isinstance(handler, VolumeHandler)
        values: dict[str, Any] = {"size": self.size, "spacing": self.spacing}
        if options in INTENSITY_OF:
            values["intensity"] = INTENSITY_OF[options]
        else:
            values["window"] = tuple(map(float, options.split(",")))
        return Config(
            crop=self.crop,
            crop_max=self.crop_max,
            crop_components=self.use_components,
            border_frac=self.border_frac,
            filter=self.filter,
            padding=self.padding_direction if self.use_padding else "none",
            volume=handler.kind,
            target_frames=handler.target_frames,
            skip_frames=(handler.skip_start, handler.skip_end),
            mip_weight=handler.mip_weight,
            projection=handler.projection_mode,
            **values,
        )

    @cached_property
    def recipe(self) -> Recipe:
        """The settings of the steps, up to padding."""
        return make_recipe(self.config, "pad")


def _make_field_error(field: str, reason: str) -> ConfigError:
    return ConfigError(f"invalid preprocessor configuration '{field}': {reason}")


def _parse_flag(name: str, value: Any) -> bool:  # noqa: ANN401  # whatever a caller passes
    if value not in (True, False):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def _parse_number(value: Any) -> float:  # noqa: ANN401
    """A number as float; TypeError if it is not a number."""
    if isinstance(value, str):
        raise TypeError(f"a number is needed, not {value!r}")
    return float(value)


def _parse_count(name: str, value: Any, minimum: int) -> int:  # noqa: ANN401
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if isinstance(value, bool) or not minimum <= number <= MAX_COUNT:
        raise ConfigError(f"{name} must be an integer from {minimum} to {MAX_COUNT}")
    return number


def _parse_target_frames(value: Any) -> int:  # noqa: ANN401
    try:
        return _parse_count("target_frames", value, 1)
    except ConfigError as error:
        raise _make_field_error("target_frames", f"{error}, not {value}") from None


def _parse_size(size: Sequence[int]) -> tuple[int, int]:
    sides = [operator.index(side) for side in size]
    if len(sides) != len(("width", "height")):
        raise _make_field_error("size", f"width and height are needed, not {tuple(sides)}")
    if not all(0 <= side <= MAX_COUNT for side in sides):
        raise OverflowError(f"size must be within 0 and {MAX_COUNT}, not {tuple(sides)}")
    if 0 in sides:
        raise _make_field_error("size", f"width and height must be at least 1, not {tuple(sides)}")
    return sides[0], sides[1]


def _parse_spacing(spacing: Sequence[float | None]) -> tuple[float, ...]:
    """X and y, and z where it is not None."""
    values = list(spacing)
    if len(values) not in (len("xy"), len("xyz")):
        raise _make_field_error(
            "spacing_mm_x", f"x, y and optionally z are needed, not {tuple(values)}"
        )
    if len(values) == len("xyz") and values[-1] is None:
        values = values[:-1]
    for axis, value in zip("xyz", values, strict=False):
        number = math.nan if value is None else _parse_number(value)
        if not (math.isfinite(number) and number > 0):
            raise _make_field_error(
                f"spacing_mm_{axis}", f"must be finite and positive, not {value}"
            )
    return tuple(_parse_number(value) for value in values)


def _parse_border(value: float) -> float:
    number = _parse_number(value)
    if not 0 <= number <= MAX_BORDER_FRAC:
        raise _make_field_error(
            "border_frac", f"must be finite and from 0 to {MAX_BORDER_FRAC}, not {value}"
        )
    return number


def _match_name(value: str, known: dict[str, str], what: str) -> str:
    name = known.get(str(value).lower())
    if name is None:
        raise ConfigError(f"Invalid {what}: {value}")
    return name


def _parse_handler(value: str | VolumeHandler | None, target_frames: int) -> VolumeHandler:
    if value is None:
        return VolumeHandler.keep()
    if isinstance(value, VolumeHandler):
        return value
    if not isinstance(value, str):
        raise ConfigError("volume_handler must be a string or VolumeHandler")
    kind = _match_name(
        value, {name: name for name in VOLUMES} | {"central": "central-slice"}, "volume handler"
    )
    return (
        VolumeHandler.interpolate(target_frames) if kind == "interpolate" else VolumeHandler(kind)
    )


def _parse_convert_options(value: str) -> str:
    """A name in lower case, or center and width as numbers joined by a comma."""
    text = str(value).strip().lower()
    if text in INTENSITY_OF:
        return text
    parts = text.split(",")
    if len(parts) != len(WINDOW_PARTS):
        raise ConfigError(f"Invalid convert options: {value}")
    numbers = []
    for name, part in zip(WINDOW_PARTS, parts, strict=True):
        try:
            number = float(part)
        except ValueError:
            number = math.nan
        if not math.isfinite(number) or (name == "width" and number <= 0):
            raise ConfigError(f"Invalid window {name}: {part.strip()}")
        numbers.append(number)
    return ",".join(map(str, numbers))
