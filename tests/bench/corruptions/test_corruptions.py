"""Corruptions: laws of the noises, the published algorithms step by step beside ours, the same bits for everybody."""

from __future__ import annotations

import colorsys
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.ndimage import zoom as scipy_zoom

from bench.corruptions import CORRUPTIONS, FAMILIES, SEVERITIES, blur, corrupt, digital, geometry, noise, weather
from bench.corruptions.__main__ import digests, kept, main


def pictures(count: int, rows: int = 32, columns: int = 32, colours: int = 3) -> NDArray[np.uint8]:
    """Slopes, disks and noise, in whole numbers: the same on every machine."""
    at = np.arange(count)[:, None, None, None]
    row, column, colour = np.ogrid[:rows, :columns, :colours]
    slope = (row * (3 + at % 3) + column * (2 + colour) + 40 * at) % 200
    disk = ((row - 12) ** 2 + (column - 14 - at) ** 2 < 60) * 90 * (colour != at % 3)
    speckle = (row * 7919 + column * 104729 + colour * 1299709 + at * 15485863) % 23
    return np.minimum(slope + disk + speckle, 255).astype(np.uint8)


def generators(count: int, seed: int = 3) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, index]) for index in range(count)]


def test_there_are_the_fifteen_of_the_paper_in_four_families() -> None:
    assert len(CORRUPTIONS) == len(set(CORRUPTIONS)) == 15
    assert {family: len(names) for family, names in FAMILIES.items()} == {
        "noise": 3,
        "blur": 4,
        "weather": 4,
        "digital": 4,
    }


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_part_of_the_images_is_corrupted_as_within_the_whole(name: str) -> None:
    images, chosen = pictures(6), [4, 1, 5]
    before = images.copy()
    for severity in (1, 5):
        whole = corrupt(images, name, severity, seed=7)
        assert (corrupt(images[chosen], name, severity, seed=7, indices=chosen) == whole[chosen]).all()
        assert whole.dtype == np.uint8
        assert whole.shape == images.shape
        assert (whole != images).any(axis=(1, 2, 3)).all()
    assert (images == before).all()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_equal_seeds_give_equal_bits_and_every_image_has_its_own_chance(name: str) -> None:
    same = np.repeat(pictures(1), 3, axis=0)
    first = corrupt(same, name, 5, seed=1)
    assert (corrupt(same, name, 5, seed=1) == first).all()
    by_chance = name not in ("defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression")
    assert (corrupt(same, name, 5, seed=2) != first).any() == by_chance
    assert (first[0] != first[1]).any() == by_chance


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(CORRUPTIONS),
    st.sampled_from(SEVERITIES),
    st.integers(8, 40),
    st.integers(8, 40),
    st.sampled_from((1, 3)),
)
def test_any_size_and_grey_images_work(name: str, severity: int, rows: int, columns: int, colours: int) -> None:
    images = pictures(2, rows, columns, colours)
    changed = corrupt(images, name, severity)
    assert changed.shape == images.shape
    if colours == 1:
        assert (corrupt(images[..., 0], name, severity) == changed[..., 0]).all()


def test_all_images_of_handwritten_size_work() -> None:
    images = pictures(2, 28, 28, 1)[..., 0]
    for name in CORRUPTIONS:
        assert corrupt(images, name, 3).shape == (2, 28, 28)


def test_noise_has_the_power_of_its_law() -> None:
    """E (y - x)^2 on grey; whole levels add a mean of 1/2 and a variance of 1/12 of one to noise that is finer."""
    level, count = 128, 60
    grey, x = np.full((count, 32, 32, 3), level, np.uint8), level / 255
    for severity in SEVERITIES:
        sigma, photons, flipped = (table[severity - 1] for table in (noise.SIGMAS, noise.PHOTONS, noise.FLIPPED))
        for made, power in (
            (noise.gaussian_noise, sigma**2),
            (noise.shot_noise, x / photons),
            (noise.impulse_noise, flipped * (x**2 + (1 - x) ** 2) / 2),
        ):
            off = made(grey / 255, severity, generators(count)) - x
            assert np.square(off).mean() == pytest.approx(power, rel=0.06 if made is noise.impulse_noise else 0.02)
        off = (corrupt(grey, "gaussian_noise", severity).astype(float) - level) / 255
        assert np.square(off).mean() == pytest.approx(sigma**2 + (1 / 4 + 1 / 12) / 255**2, rel=0.02)


@pytest.mark.parametrize("name", [*FAMILIES["noise"], "brightness", "contrast", "zoom_blur"])
def test_severity_is_severe(name: str) -> None:
    images = pictures(16)
    errors = [np.square(corrupt(images, name, severity).astype(float) - images).mean() for severity in SEVERITIES]
    assert errors == sorted(errors)
    assert errors[0] > 0


def test_a_disk_is_of_sum_one_and_narrow_ones_are_the_gaussian_of_their_edge() -> None:
    for radius, sigma in blur.DISKS:
        assert blur.disk(radius, sigma).sum() == pytest.approx(1)
    edge = np.exp(-np.array([1, 0, 1]) / (2 * 0.4**2))
    np.testing.assert_allclose(blur.disk(0.3, 0.4), np.outer(edge, edge) / edge.sum() ** 2)


def test_zoom_blur_is_the_mean_of_enlarged_middles() -> None:
    image = pictures(1)[0] / 255
    factors = np.arange(1, 1.16, 0.01)
    total = image.copy()
    for factor in factors:
        kept_pixels = int(np.ceil(32 / factor))
        first = (32 - kept_pixels) // 2
        middle = image[first : first + kept_pixels, first : first + kept_pixels]
        large = scipy_zoom(middle, (factor, factor, 1), order=1, mode="nearest")
        trim = (len(large) - 32) // 2
        total += large[trim : trim + 32, trim : trim + 32]
    np.testing.assert_allclose(blur.zoom_blur(image[None], 3, [])[0], total / (len(factors) + 1), atol=1e-12)


def test_motion_smears_half_a_gaussian_along_its_angle() -> None:
    point = np.zeros((3, 32, 32, 1))
    point[:, 16, 16] = 1
    weights = np.exp(-(np.arange(13) ** 2) / (2 * 2.0**2))
    weights /= weights.sum()
    across, down, aslant = geometry.smeared(point, 6, 2.0, np.array([0.0, 90.0, 45.0]))[..., 0]
    np.testing.assert_allclose(across[16, 16:3:-1], weights)
    np.testing.assert_allclose(down[16:3:-1, 16], weights)
    steps = np.ceil(np.arange(13) / 2**0.5 - 0.5).astype(int)
    diagonal = np.bincount(steps, weights)
    np.testing.assert_allclose(aslant[16 - np.arange(len(diagonal)), 16 - np.arange(len(diagonal))], diagonal)
    for smear in (across, down, aslant):
        assert smear.sum() == pytest.approx(1)


def test_glass_moves_pixels_as_the_published_loop_does() -> None:
    """The loop over pixels from the last to the first, whose swap of views copies one onto the other."""
    images = pictures(2) / 255
    sigma, times = blur.GLASS[3]
    ours = blur.glass_blur(images, 4, generators(2))
    for image, own, generator in zip(images, ours, generators(2), strict=True):
        back = generator.random((times, 2, 30, 30)) < 0.5
        x = np.uint8(blur._blurred(image[None], sigma)[0] * 255 + 1e-9)
        for time in range(times):
            for row in range(31, 1, -1):
                for column in range(31, 1, -1):
                    up, left = back[time, :, row - 2, column - 2]
                    here, there = (row, column), (row - up, column - left)
                    x[here], x[there] = x[there], x[here]
        np.testing.assert_allclose(own, blur._blurred(x[None] / 255, sigma)[0], atol=1e-12)


def test_clouds_are_those_of_diamonds_and_squares_point_by_point() -> None:
    size, decay = 16, 1.75
    ours = geometry.plasma(generators(1), 13, 16, decay)[0]
    drawn = iter(2 * generators(1)[0].random(size * size - 1) - 1)
    field, step, wibble = np.zeros((size, size)), size, 100.0

    def fill(rows: range, columns: range, around: list[tuple[int, int]]) -> None:
        fresh = {
            (row, column): sum(field[(row + i) % size, (column + j) % size] for i, j in around) / 4
            + wibble**2 * next(drawn)
            for row in rows
            for column in columns
        }
        for place, value in fresh.items():
            field[place] = value

    while step >= 2:
        h = step // 2
        on, off, cross = range(0, size, step), range(h, size, step), [(-h, 0), (h, 0), (0, -h), (0, h)]
        fill(off, off, [(i, j) for i in (-h, h) for j in (-h, h)])
        fill(on, off, cross)
        fill(off, on, cross)
        step, wibble = h, wibble / decay
    np.testing.assert_allclose(ours, ((field - field.min()) / (field.max() - field.min()))[:13], atol=1e-12)


def test_brightness_is_the_value_of_hsv() -> None:
    image = pictures(1)[:, :6, :6] / 255
    image[0, 0, 0] = 0
    ours = weather.brightness(image, 4, [])[0]
    for pixel, own in zip(image[0].reshape(-1, 3), ours.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*pixel)
        np.testing.assert_allclose(own, colorsys.hsv_to_rgb(hue, saturation, min(value + 0.2, 1)), atol=1e-12)


@pytest.mark.parametrize("border", ["mirror", "reflect"])
def test_sampling_is_that_of_scipy_beyond_the_border_too(border: str) -> None:
    image, drawn = pictures(1, 12, 17)[0] / 255, np.random.default_rng(0)
    rows, columns = drawn.uniform(-9, 20, (12, 17)), drawn.uniform(-9, 25, (12, 17))
    ours = geometry.sampled(image[None], rows[None], columns[None], border)[0]
    for colour in range(3):
        theirs = map_coordinates(image[..., colour], [rows, columns], order=1, mode=border)
        np.testing.assert_allclose(ours[..., colour], theirs, atol=1e-12)


def test_stretching_takes_three_points_to_where_they_were_moved() -> None:
    moves = np.array([[1.5, -2.0], [0.5, 0.25], [-1.0, 3.0]])
    matrix = digital._affine(moves, (32, 32))
    points = 16 + 10 * np.array([[1, 1], [-1, 1], [-1, -1]])
    np.testing.assert_allclose((points + moves) @ matrix[:, :2].T + matrix[:, 2], points, atol=1e-12)


def test_coarse_pixels_are_means_of_boxes() -> None:
    """20 of 32 pixels a side: means of the pixels whose middles lie in boxes of 8 / 5, each repeated where it lies."""
    images = pictures(1) / 255
    ours = digital.pixelate(images, 5, [])[0]
    inside = (((np.arange(32) + 0.5) / 1.6).astype(int) == np.arange(20)[:, None]).astype(float)
    inside /= inside.sum(axis=1, keepdims=True)
    few = np.einsum("ri,ck,ikd->rcd", inside, inside, images[0])
    nearest = ((np.arange(32) + 0.5) / 1.6).astype(int)
    np.testing.assert_allclose(ours, few[nearest][:, nearest], atol=1.5 / 255)


@pytest.mark.parametrize(
    ("images", "options", "message"),
    [
        (np.zeros((2, 32, 32, 3)), {}, r"images are \(2, 32, 32, 3\) float64, expected an array"),
        (np.zeros((32, 32), np.uint8), {}, r"images are \(32, 32\) uint8, expected an array"),
        (np.zeros((2, 3, 32, 32), np.uint8), {}, r"\(2, 3, 32, 32\) uint8, expected at least one of 8 x 8"),
        (np.zeros((0, 32, 32, 3), np.uint8), {}, "expected at least one"),
        (np.zeros((1, 4, 32, 3), np.uint8), {}, "of 8 x 8 pixels or more"),
        (pictures(2), {"name": "rain"}, "corruption 'rain' is unknown, choose from gaussian_noise, "),
        (pictures(2), {"severity": 6}, "severity is 6, choose from 1, 2, 3, 4, 5"),
        (pictures(2), {"seed": -1}, "seed is -1, expected a number from 0"),
        (pictures(2), {"indices": [1]}, r"indices are \(1,\) int64, expected \(2,\) whole numbers from 0"),
        (pictures(2), {"indices": [-1, 0]}, "whole numbers from 0"),
        (pictures(2), {"indices": [0.5, 1]}, "whole numbers from 0"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(images: NDArray[np.uint8], options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        corrupt(images, **{"name": "fog", "severity": 3, **options})


def test_the_bits_are_those_that_are_kept() -> None:
    """On four drawn pictures. JPEG is another library's, and may change with it."""
    told, made = kept("four pictures of the tests"), digests(pictures(4))
    assert {name: made[name] for name in CORRUPTIONS if name != "jpeg_compression"} == {
        name: told[name] for name in CORRUPTIONS if name != "jpeg_compression"
    }


def test_the_command_tells_the_digests_and_refuses_what_has_no_eight_bits(
    capsys: pytest.CaptureFixture[str], tmp_path
) -> None:
    file = tmp_path / "mine.npz"
    images = pictures(24)
    np.savez(file, images=images, labels=np.arange(24) % 2)
    assert main([str(file), "--limit", "2"]) == 0
    printed = capsys.readouterr()
    assert "nothing is kept to compare with" in printed.err
    document = json.loads(printed.out.splitlines()[-1])
    assert document["style"] == "CIFAR-10-C-style"
    assert set(document["sha256"]) == set(CORRUPTIONS)
    assert main(["digits"]) == 2
    assert "pixels up to 16, corruptions take images of 8 bits" in capsys.readouterr().err
    assert main(["--limit", "0"]) == 2
