"""The journal's line of an image is the canonical JSON of its row, to the last byte."""

from hypothesis import given
from hypothesis import strategies as st

from minewatch.model.canonical import encode
from minewatch.model.image import Command, Image, Notice, ReadBack, Reading, Sample, Sighting
from minewatch.model.image_line import TEMPLATES_MAX, ImageLines
from minewatch.model.quality import Quality

NAMES = st.text(alphabet=st.sampled_from('ab%"\\甲\n{}d0'), max_size=6)
INTEGERS = st.integers(-(2**70), 2**70)
GOOD = st.builds(Reading, NAMES, INTEGERS, st.just(Quality.GOOD))
ANY = st.builds(
    Reading, NAMES, st.one_of(st.none(), INTEGERS, st.booleans()), st.sampled_from(Quality)
)
SAMPLES = st.builds(
    Sample,
    NAMES,
    INTEGERS,
    st.one_of(st.lists(GOOD, max_size=5), st.lists(ANY, max_size=5)).map(tuple),
)
IMAGES = st.builds(
    Image,
    INTEGERS,
    INTEGERS,
    INTEGERS,
    st.booleans(),
    INTEGERS,
    st.lists(SAMPLES, max_size=4).map(tuple),
    st.lists(
        st.builds(Sighting, NAMES, NAMES, INTEGERS, INTEGERS, INTEGERS, st.none(), st.none()),
        max_size=2,
    ).map(tuple),
    st.lists(st.builds(ReadBack, NAMES, st.booleans(), INTEGERS), max_size=2).map(tuple),
    st.lists(
        st.builds(Command, NAMES, NAMES, NAMES, NAMES, st.dictionaries(NAMES, INTEGERS), NAMES),
        max_size=2,
    ).map(tuple),
    st.lists(st.builds(Notice, NAMES, NAMES, st.dictionaries(NAMES, NAMES)), max_size=2).map(tuple),
)


@given(images=st.lists(IMAGES, min_size=1, max_size=4))
def test_lines_are_canonical(images: list[Image]) -> None:
    """Strange names, huge numbers, missing values and every quality: the very bytes of `encode`."""
    lines = ImageLines()
    for image in images + images:
        assert lines.line(image) == encode(image.to_row())


def test_templates_are_bounded() -> None:
    """Exchanges that never come back do not fill the memory, and change no byte."""
    lines = ImageLines()
    for number in range(TEMPLATES_MAX + 10):
        reading = Reading(f"p{number}", number, Quality.GOOD)
        image = Image(number, 0, 0, True, 0, (Sample("d", 0, (reading,)),))
        assert lines.line(image) == encode(image.to_row())
    assert len(lines._templates) <= TEMPLATES_MAX
