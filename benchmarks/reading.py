"""Single steps of reading against the libraries a user would take, in one process, taking turns."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.data import SHAPE

if TYPE_CHECKING:
    import pydicom

SERIES = 5
COMPRESSED_SLICES = 100


def take_turns(contenders: dict, runs: int) -> dict[str, float]:
    """Median seconds of each, after one warm-up."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(-1, runs):
        for name, call in contenders.items():
            began = time.perf_counter()
            call()
            if turn >= 0:
                found[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def show(title: str, medians: dict[str, float]) -> None:
    """Print medians and ratios to ours."""
    print(f"\n{title}\n{'':44}{'seconds':>9}{'ratio':>8}")
    for name, seconds in medians.items():
        print(f"{name:44}{seconds:9.3f}{seconds / medians['ours']:8.1f}")


def load_series(data: Path, runs: int) -> None:
    """Load 400 uncompressed files; dcm2niix as the process it is, the others within Python."""
    import SimpleITK as sitk

    from flr_volumetry.io import read_image

    files = [str(p) for p in sorted((data / "ct").iterdir())]

    def simple_itk() -> None:
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(files)
        sitk.GetArrayFromImage(reader.Execute())

    contenders = {"ours": lambda: read_image(data / "ct"), "SimpleITK, presorted": simple_itk}
    program = shutil.which("dcm2niix", path=str(Path(sys.executable).parent))
    with tempfile.TemporaryDirectory() as scratch:
        if program:
            command = [program, "-z", "n", "-f", "x", "-w", "1", "-o", scratch, str(data / "ct")]
            contenders["dcm2niix -z n"] = lambda: subprocess.run(command, check=True, capture_output=True)
        show("400 files of 512 x 512 to int16 and geometry", take_turns(contenders, runs))


def five_series(data: Path) -> Path:
    """Copy the series five times into one folder, under series UIDs of the same length."""
    folder = data / "five"
    if (folder / "done").exists():
        return folder
    import pydicom

    folder.mkdir(parents=True, exist_ok=True)
    first = pydicom.dcmread(next((data / "ct").iterdir()), stop_before_pixels=True)
    uid = str(first.SeriesInstanceUID)
    for number in range(SERIES):
        other = f"{uid[:-1]}{number}"
        for path in (data / "ct").iterdir():
            whole = path.read_bytes().replace(uid.encode(), other.encode(), 1)
            (folder / f"s{number}{path.name}").write_bytes(whole)
    (folder / "done").touch()
    return folder


def folder_each(data: Path) -> Path:
    """Link the five series into a folder each."""
    folder = data / "each"
    if (folder / "done").exists():
        return folder
    for path in five_series(data).iterdir():
        if path.name != "done":
            series = folder / path.name[:2]
            series.mkdir(parents=True, exist_ok=True)
            (series / path.name[2:]).hardlink_to(path)
    (folder / "done").touch()
    return folder


def scan_headers(data: Path, runs: int) -> None:
    """Headers of 2,000 files in five series, in one folder and in a folder each, grouped and sorted."""
    import SimpleITK as sitk

    from flr_volumetry.io import scan

    one, each = five_series(data), folder_each(data)
    layouts = {
        "one folder": (one, [one]),
        "a folder each": (each, sorted(p for p in each.iterdir() if p.is_dir())),
    }
    for name, (root, folders) in layouts.items():

        def ours(root: Path = root) -> None:
            assert len(scan([root]).images()) == SERIES

        def simple_itk(folders: list[Path] = folders) -> None:
            for folder in folders:
                for uid in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder)):
                    files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
                    assert len(files) == SHAPE[2]

        contenders = {"ours": ours, "SimpleITK IDs + FileNames": simple_itk}
        show(f"headers of 2,000 files in 5 series, {name}", take_turns(contenders, min(runs, 3)))


def load_compressed(data: Path, runs: int) -> None:
    """Load a hundred slices in the lossless syntaxes."""
    import pydicom
    import SimpleITK as sitk

    from flr_volumetry.io import read_image

    sources = sorted((data / "ct").iterdir())[150 : 150 + COMPRESSED_SLICES]
    for name, syntax in (
        ("RLE", "1.2.840.10008.1.2.5"),
        ("JPEG-LS", "1.2.840.10008.1.2.4.80"),
        ("JPEG 2000", "1.2.840.10008.1.2.4.90"),
        ("JPEG lossless", "1.2.840.10008.1.2.4.70"),
    ):
        folder = data / name.replace(" ", "")
        if not (folder / sources[-1].name).exists():
            folder.mkdir(exist_ok=True)
            for path in sources:
                file = pydicom.dcmread(path)
                if name == "JPEG lossless":
                    _lossless_jpeg(file, syntax)
                else:
                    file.compress(syntax, generate_instance_uid=False)
                file.save_as(folder / path.name)
        files = [str(p) for p in sorted(folder.iterdir())]

        def ours(folder: Path = folder) -> None:
            read_image(folder)

        def simple_itk(files: list[str] = files) -> None:
            reader = sitk.ImageSeriesReader()
            reader.SetFileNames(files)
            sitk.GetArrayFromImage(reader.Execute())

        def with_pydicom(files: list[str] = files) -> None:
            np.stack([pydicom.dcmread(f).pixel_array for f in files])

        def with_dicomsdl(files: list[str] = files) -> None:
            import dicomsdl

            np.stack([dicomsdl.open(f).pixelData() for f in files])

        contenders = {
            "ours": ours,
            "SimpleITK, presorted": simple_itk,
            "pydicom, presorted": with_pydicom,
            "dicomsdl, presorted": with_dicomsdl,
        }
        show(f"{COMPRESSED_SLICES} slices of 512 x 512, {name}", take_turns(contenders, runs))


def _lossless_jpeg(file: pydicom.Dataset, syntax: str) -> None:
    import imagecodecs
    from pydicom.encaps import encapsulate
    from pydicom.uid import UID

    packed = imagecodecs.jpeg8_encode(file.pixel_array, lossless=True, predictor=1, bitspersample=16)
    file.PixelData = encapsulate([packed])
    file["PixelData"].is_undefined_length = True
    file["PixelData"].VR = "OB"
    file.file_meta.TransferSyntaxUID = UID(syntax)


def read_nifti(data: Path, runs: int) -> None:
    """Read a CT and a mask as .nii.gz."""
    import nibabel as nib
    import SimpleITK as sitk

    from flr_volumetry.io import read_image, read_mask, write_image

    ct = data / "ct.nii.gz"
    if not ct.exists():
        write_image(ct, read_image(data / "ct"))
    for name, path, ours in (("CT", ct, read_image), ("mask", data / "liver.nii.gz", read_mask)):
        contenders = {
            "ours": lambda ours=ours, path=path: ours(path),
            "SimpleITK": lambda path=path: sitk.GetArrayFromImage(sitk.ReadImage(str(path))),
            "nibabel": lambda path=path: np.asarray(nib.load(path).dataobj),
        }
        show(f"{name} of 512 x 512 x 400 from .nii.gz", take_turns(contenders, runs))


def read_seg(data: Path, runs: int) -> None:
    """Read a DICOM SEG of 13 binary segments."""
    import highdicom as hd

    from flr_volumetry.io import read_masks

    path = data / "seg.dcm"
    if not path.exists():
        _write_seg(data, path)

    def ours() -> None:
        assert len(read_masks(path)) == len(_names())

    def with_highdicom() -> None:
        hd.seg.segread(path).get_volume(dtype=np.uint8)

    show(
        "DICOM SEG, 13 binary segments",
        take_turns({"ours": ours, "highdicom get_volume": with_highdicom}, runs),
    )


def _names() -> list[str]:
    return ["liver", "lesion1", "lesion2", "lesion3", "portal_vein", *(f"segment_{n}" for n in range(1, 9))]


def _write_seg(data: Path, path: Path) -> None:
    import highdicom as hd
    import pydicom
    from pydicom.sr.codedict import codes

    from flr_volumetry.io import read_label_map, read_mask

    segments = read_label_map(data / "segments.nii.gz").voxels
    masks = [
        read_mask(data / f"{n}.nii.gz").voxels
        for n in ("liver", "lesion1", "lesion2", "lesion3", "portal_vein")
    ]
    masks += [segments == n for n in range(1, 9)]
    sources = [pydicom.dcmread(p, stop_before_pixels=True) for p in sorted((data / "ct").iterdir())]
    pixels = np.stack([m.transpose(2, 1, 0) for m in masks], axis=-1).astype(np.uint8)
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.Organ,
            segmented_property_type=codes.SCT.Liver,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, name in enumerate(_names(), start=1)
    ]
    hd.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=hd.UID(),
        series_number=9,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
    ).save_as(path)


def run(data: Path, runs: int) -> None:
    """Time every step."""
    for step in (load_series, scan_headers, load_compressed, read_nifti, read_seg):
        step(data, runs)
