"""Converters, fed with small real-format files and with lying ones."""

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest

from stsyn_mpi.datasets import open_dataset
from stsyn_mpi.datasets.cifar10 import cifar10
from stsyn_mpi.datasets.fashion_mnist import fashion_mnist
from stsyn_mpi.datasets.npz import npz
from stsyn_mpi.datasets.source import Source
from stsyn_mpi.datasets.synthetic import parse_shape, synthetic
from stsyn_mpi.errors import InputError

RECORD = 3073


def idx(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    shape = shape or array.shape
    header = struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape)
    return header + array.tobytes()


@pytest.fixture
def idx_folder(tmp_path):
    """Fashion-MNIST's four files in small, the training part gzipped."""
    random = np.random.default_rng(1)
    folder = tmp_path / "idx"
    folder.mkdir()
    for stem, n, suffix in (("train", 50, ".gz"), ("t10k", 20, "")):
        images = random.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        pack = gzip.compress if suffix else bytes
        (folder / f"{stem}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
        (folder / f"{stem}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))
    return folder


def collect(source: Source, part: str = "train") -> tuple[np.ndarray, np.ndarray]:
    blocks = list(source.splits[part].blocks())
    x, y = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return x, y


def one_line(function, *args: object) -> str:
    with pytest.raises(InputError) as caught:
        function(*args)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Fashion-MNIST


def test_idx_files(idx_folder):
    source = fashion_mnist(idx_folder)
    x, y = collect(source, "test")
    content = (idx_folder / "t10k-images-idx3-ubyte").read_bytes()[16:]
    assert x.shape == (20, 28, 28, 1)
    assert x.tobytes() == content
    np.testing.assert_array_equal(y, np.arange(20) % 10)
    assert collect(source)[0].shape == (50, 28, 28, 1)
    assert source.class_names[9] == "Ankle boot"


def test_idx_folder_is_found_in_the_share_folders(idx_folder, tmp_path, monkeypatch):
    share = tmp_path / "share" / "datasets"
    share.mkdir(parents=True)
    idx_folder.rename(share / "fashion-mnist")
    monkeypatch.setenv("XDG_DATA_DIRS", f"{tmp_path}/no:{tmp_path}/share")
    assert fashion_mnist().train.n_rows == 50
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "no"))
    assert "dataset-fashion-mnist" in one_line(fashion_mnist)


def test_idx_file_missing(idx_folder):
    (idx_folder / "t10k-labels-idx1-ubyte").unlink()
    assert "holds no t10k-labels-idx1-ubyte" in one_line(fashion_mnist, idx_folder)


def test_idx_labels_in_place_of_images(idx_folder):
    labels = idx_folder / "t10k-labels-idx1-ubyte"
    labels.rename(idx_folder / "t10k-images-idx3-ubyte")
    (idx_folder / "t10k-labels-idx1-ubyte").touch()
    line = one_line(fashion_mnist, idx_folder)
    assert "begins with bytes 00 00 08 01" in line
    assert "begins with 00 00 08 03" in line


def test_idx_counts_that_differ(idx_folder):
    path = idx_folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(idx(np.zeros(19, np.uint8)))
    assert "20 images, but" in one_line(fashion_mnist, idx_folder)


@pytest.mark.parametrize("shape", [(21, 28, 28), (19, 28, 28), (4294967295, 28, 28)])
@pytest.mark.parametrize("packed", [False, True])
def test_idx_header_that_lies(idx_folder, shape, packed):
    content = idx(np.zeros((20, 28, 28), np.uint8), shape)
    path = idx_folder / "t10k-images-idx3-ubyte"
    path.unlink()
    path = path.with_suffix(".gz") if packed else path
    path.write_bytes(gzip.compress(content) if packed else content)
    assert "does not hold that" in one_line(fashion_mnist, idx_folder)


def test_idx_gzip_that_could_not_expand_so_far(idx_folder):
    path = idx_folder / "train-images-idx3-ubyte.gz"
    shape = (50_000_000, 28, 28)
    content = gzip.compress(idx(np.zeros((50, 28, 28), np.uint8), shape))
    length = (16 + int(np.prod(shape, dtype=np.int64))) % 2**32
    path.write_bytes(content[:-4] + struct.pack("<I", length))
    assert "does not hold that" in one_line(fashion_mnist, idx_folder)


def test_idx_header_and_gzip_length_that_lie_together(idx_folder):
    """The length at the end of a gzip file is no proof: rows are counted too."""
    labels = idx_folder / "train-labels-idx1-ubyte.gz"
    labels.write_bytes(gzip.compress(idx(np.zeros(51, np.uint8))))
    images = idx_folder / "train-images-idx3-ubyte.gz"
    content = gzip.compress(idx(np.zeros((50, 28, 28), np.uint8), (51, 28, 28)))
    images.write_bytes(content[:-4] + struct.pack("<I", 16 + 51 * 784))
    assert "cannot be read" in one_line(collect, fashion_mnist(idx_folder))


def test_idx_image_of_absurd_size(idx_folder):
    path = idx_folder / "t10k-images-idx3-ubyte"
    path.write_bytes(idx(np.zeros(0, np.uint8), (1, 65536, 65536)))
    assert "allowed are one row or more" in one_line(fashion_mnist, idx_folder)


@pytest.mark.parametrize("cut", [0, 1, 3, 17, 200, 5000])
def test_idx_gzip_truncated_or_garbled(idx_folder, cut):
    path = idx_folder / "train-images-idx3-ubyte.gz"
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    one_line(lambda: collect(fashion_mnist(idx_folder)))
    path.write_bytes(content[:200] + b"\xff" * 3000 + content[3200:])
    one_line(lambda: collect(fashion_mnist(idx_folder)))


# CIFAR-10


def add(archive: tarfile.TarFile, name: str, content: bytes = b"", **facts: object):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in facts.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


def batches(n: int = 4) -> dict[str, np.ndarray]:
    random = np.random.default_rng(2)
    names = [f"data_batch_{k}.bin" for k in (3, 1, 2, 5, 4)] + ["test_batch.bin"]
    content = random.integers(0, 256, (6, n, RECORD), dtype=np.uint8)
    content[:, :, 0] %= 10
    return dict(zip(names, content, strict=True))


@pytest.fixture(params=["w:gz", "w"])
def cifar_archive(tmp_path, request):
    path = tmp_path / "cifar-10-binary.tar.gz"
    with tarfile.open(path, request.param) as archive:
        add(archive, "cifar-10-batches-bin", type=tarfile.DIRTYPE)
        add(archive, "cifar-10-batches-bin/readme.html", b"x" * 700)
        for name, content in batches().items():
            add(archive, f"cifar-10-batches-bin/{name}", content.tobytes())
    return path


def test_cifar_archive(cifar_archive):
    source = cifar10(cifar_archive)
    x, y = collect(source)
    assert x.shape == (20, 32, 32, 3)
    second = batches()["data_batch_2.bin"]
    np.testing.assert_array_equal(y[4:8], second[:, 0])
    green = second[1, 1 + 1024 : 1 + 2048].reshape(32, 32)
    np.testing.assert_array_equal(x[5, :, :, 1], green)
    assert collect(source, "test")[1].tolist() == (
        batches()["test_batch.bin"][:, 0].tolist()
    )


def test_cifar_python_version_is_refused(tmp_path):
    path = tmp_path / "cifar-10-python.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("batches.meta", "data_batch_1", "test_batch"):
            add(archive, f"cifar-10-batches-py/{name}", b"\x80\x02.")
    line = one_line(cifar10, path)
    assert "pickled" in line
    assert "cifar-10-binary.tar.gz" in line


@pytest.mark.parametrize(
    ("name", "facts", "words"),
    [
        ("../../evil.bin", {}, "leads out of the archive"),
        ("/etc/evil.bin", {}, "leads out of the archive"),
        ("link.bin", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "no links"),
        ("hard.bin", {"type": tarfile.LNKTYPE, "linkname": "x"}, "no links"),
        ("fifo", {"type": tarfile.FIFOTYPE}, "or devices"),
        ("x" * 300, {}, "no links"),
    ],
)
def test_cifar_archive_with_a_hostile_member(tmp_path, name, facts, words):
    path = tmp_path / "evil.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as archive:
        add(archive, name, **facts)
    assert words in one_line(cifar10, path)
    assert [p.name for p in tmp_path.iterdir()] == ["evil.tar.gz"]


def test_cifar_batch_missing_or_of_odd_size(tmp_path):
    for size, words in ((None, "0 members data_batch_4"), (RECORD + 1, "3074 bytes")):
        path = tmp_path / "odd.tar"
        with tarfile.open(path, "w") as archive:
            for name, content in batches().items():
                if name != "data_batch_4.bin":
                    add(archive, name, content.tobytes())
                elif size is not None:
                    add(archive, name, bytes(size))
        assert words in one_line(cifar10, path)


def test_cifar_batch_twice(tmp_path):
    path = tmp_path / "twice.tar"
    with tarfile.open(path, "w") as archive:
        for folder in ("a", "b"):
            for name, content in batches().items():
                add(archive, f"{folder}/{name}", content.tobytes())
    assert "2 members data_batch_1.bin" in one_line(cifar10, path)


def test_cifar_label_out_of_range(tmp_path, cifar_archive, data_command):
    content = batches()
    content["data_batch_1.bin"][2, 0] = 10
    path = tmp_path / "label.tar"
    with tarfile.open(path, "w") as archive:
        for name, part in content.items():
            add(archive, name, part.tobytes())
    answer = data_command("cifar10", path, tmp_path / "out.h5")
    assert answer.code == 2
    assert "train row 2 has label 10; allowed are 0 to 9" in answer.err
    assert not (tmp_path / "out.h5").exists()


def test_cifar_archive_truncated_anywhere(cifar_archive):
    content = cifar_archive.read_bytes()
    for size in range(0, len(content) - 20000, len(content) // 40):
        cifar_archive.write_bytes(content[:size])
        one_line(lambda: collect(cifar10(cifar_archive)))


def test_cifar_archive_that_claims_to_be_huge(tmp_path):
    """Extended headers and sizes are not believed: memory stays small."""
    path = tmp_path / "bomb.tar.gz"
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 1 << 29
    with gzip.open(path, "wb", compresslevel=1) as archive:
        archive.write(header.tobuf(tarfile.USTAR_FORMAT))
        for _ in range(64):
            archive.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        assert "truncated" in one_line(cifar10, path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 25
    finally:
        tracemalloc.stop()
    header.type, header.size = tarfile.REGTYPE, 1 << 32
    path.write_bytes(header.tobuf(tarfile.USTAR_FORMAT))
    assert "goes beyond" in one_line(cifar10, path)


def test_cifar_archive_of_endless_members(tmp_path):
    path = tmp_path / "many.tar"
    path.write_bytes(tarfile.TarInfo("x").tobuf() * 2000)
    assert "1000 members" in one_line(cifar10, path)


@pytest.mark.parametrize("content", [b"", b"text", bytes(1024), b"\x1f\x8b\x08junk"])
def test_cifar_file_that_is_no_archive(tmp_path, content):
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    assert str(path) in one_line(cifar10, path)
    assert "no such file" in one_line(cifar10, tmp_path / "no.tar.gz")


# npz


@pytest.fixture
def save(tmp_path, arrays):
    def write(compressed: bool = False, **changes: object):
        content = {**arrays, **changes}
        content = {k: v for k, v in content.items() if v is not None}
        pack = np.savez_compressed if compressed else np.savez
        pack(tmp_path / "my.npz", **content)
        return tmp_path / "my.npz"

    return write


@pytest.mark.parametrize("compressed", [False, True])
def test_npz(save, arrays, compressed):
    source = npz(save(compressed))
    x, y = collect(source)
    np.testing.assert_array_equal(x, arrays["x_train"])
    np.testing.assert_array_equal(y, arrays["y_train"])
    assert (source.name, source.class_names) == ("my", ("0", "1", "2"))
    assert source.image_dtype == "uint8"


@pytest.mark.parametrize(
    ("shape", "image_shape"), [((7, 4, 5), (4, 5, 1)), ((7, 9), (1, 9, 1))]
)
def test_npz_grey_images_and_features(save, shape, image_shape):
    path = save(
        x_train=np.ones(shape),
        y_train=np.zeros((7, 1), int),
        x_test=np.ones(shape),
        y_test=np.zeros(7, int),
    )
    source = npz(path)
    assert source.image_shape == image_shape
    assert source.image_dtype == "float32"
    assert collect(source)[1].shape == (7,)


def test_npz_other_byte_order(tmp_path, save, arrays, data_command):
    x = arrays["x_train"].astype(">i2")
    save(x_train=x, y_train=arrays["y_train"].astype(">i8"))
    assert data_command("npz", tmp_path / "my.npz", tmp_path / "o.h5").code == 0
    with open_dataset(tmp_path / "o.h5") as data:
        stored = np.concatenate([b for _, b in data.blocks("train/images")])
    np.testing.assert_array_equal(stored, x)


class Trap:
    """An object whose unpickling would be seen."""

    sprung = False

    def __reduce__(self):
        return setattr, (Trap, "sprung", True)


def test_npz_with_pickled_objects_is_not_unpickled(save):
    line = one_line(npz, save(x_test=np.array([Trap()] * 12, object)))
    assert "Python objects, which are pickled and never read" in line
    assert not Trap.sprung


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_test": None}, "holds no array y_test"),
        ({"x_test": np.ones((12, 6, 5, 3))}, "they must be alike"),
        ({"x_test": np.ones((12, 6, 5, 2), complex)}, "real numbers are needed"),
        ({"x_test": np.full((12, 6, 5, 2), "a")}, "real numbers are needed"),
        ({"x_test": np.ones((12, 6, 5, 2, 1))}, "allowed are (n, H, W)"),
        ({"x_test": np.ones((0, 6, 5, 2))}, "none of them 0"),
        ({"x_test": np.float64(1)}, "single value"),
        ({"x_test": np.asfortranarray(np.ones((12, 6, 5, 2)))}, "ascontiguousarray"),
        ({"y_test": np.zeros(11, int)}, "(11,); needed are integers of shape (12,)"),
        ({"y_test": np.zeros(12)}, "needed are integers"),
        ({"y_test": np.full(12, 10**6)}, "largest label is 1000000"),
    ],
)
def test_npz_of_wrong_content(save, changes, words):
    assert words in one_line(npz, save(**changes))


def test_npz_negative_label(tmp_path, save, data_command):
    save(y_test=np.full(12, -1))
    answer = data_command("npz", tmp_path / "my.npz", tmp_path / "o.h5")
    assert answer.code == 2
    assert "test row 0 has label -1; allowed are 0 to 2" in answer.err


def test_npz_header_that_lies(tmp_path, save):
    save()
    buffer = io.BytesIO()
    facts = {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 6, 5, 2)}
    np.lib.format.write_array_header_1_0(buffer, facts)
    with (
        zipfile.ZipFile(tmp_path / "my.npz") as old,
        zipfile.ZipFile(tmp_path / "lie.npz", "w") as new,
    ):
        for name in old.namelist():
            content = buffer.getvalue() if name == "x_test.npy" else old.read(name)
            new.writestr(name, content)
    assert "x_test declares" in one_line(npz, tmp_path / "lie.npz")


@pytest.mark.parametrize("compressed", [False, True])
def test_npz_damaged_anywhere(save, compressed):
    path = save(compressed)
    content = path.read_bytes()
    n_refused = 0
    for position in range(0, len(content), len(content) // 150):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        try:
            source = npz(path)
            collect(source), collect(source, "test")
        except InputError:
            n_refused += 1
        path.write_bytes(content[:position])
        one_line(npz, path)
    assert n_refused > 100


def test_npz_that_is_none(tmp_path):
    path = tmp_path / "x.npz"
    np.save(path.with_suffix(".npy"), np.zeros(3))
    path.with_suffix(".npy").rename(path)
    assert "an npz file is needed" in one_line(npz, path)
    assert "no such file" in one_line(npz, tmp_path / "no.npz")


# Synthetic


def test_synthetic_is_the_same_for_equal_seeds_and_any_length():
    x, y = collect(synthetic(700, 5, (6, 6, 1), seed=4))
    longer, labels = collect(synthetic(1000, 5, (6, 6, 1), seed=4))
    np.testing.assert_array_equal(x, longer[:700])
    np.testing.assert_array_equal(y, labels[:700])
    assert not np.array_equal(x, collect(synthetic(700, 5, (6, 6, 1), seed=5))[0])
    test = collect(synthetic(700, 700, (6, 6, 1), seed=4), "test")
    assert not np.array_equal(x, test[0])


@pytest.mark.parametrize(("noise", "low", "high"), [(0.0, 1, 1), (0.4, 0.9, 0.99)])
@pytest.mark.parametrize("side", [8, 28])
def test_synthetic_difficulty_does_not_depend_on_size(noise, low, high, side):
    source = synthetic(2000, 1000, (side, side, 1), noise=noise)
    x, y = collect(source)
    x_test, y_test = collect(source, "test")
    x = x.reshape(len(x), -1).astype(float)
    centres = np.stack([x[y == label].mean(axis=0) for label in range(10)])
    scores = x_test.reshape(1000, -1) @ centres.T - np.square(centres).sum(axis=1) / 2
    assert low <= (scores.argmax(axis=1) == y_test).mean() <= high


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"n_train": 0}, "at least one of each"),
        ({"image_shape": (0, 2, 1)}, "--shape 0x2x1"),
        ({"image_shape": (99999, 99999, 3)}, "--shape"),
        ({"n_classes": 1}, "--classes 1"),
        ({"n_classes": 10**7}, "--classes"),
        ({"noise": -1.0}, "--noise -1"),
        ({"noise": float("nan")}, "--noise nan"),
        ({"seed": -1}, "--seed -1"),
    ],
)
def test_synthetic_out_of_range(facts, words):
    facts = {"n_train": 5, "n_test": 5, **facts}
    with pytest.raises(InputError) as caught:
        synthetic(**facts)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "28", "28x", "axb", "1x2x3x4", "-1x2", "²x2"])
def test_bad_shape(text):
    assert "--shape" in one_line(parse_shape, text)


def test_shape():
    assert parse_shape("28x14") == (28, 14, 1)
    assert parse_shape("32X32x3") == (32, 32, 3)


def save_member(path, content, method=zipfile.ZIP_DEFLATED):
    """Replace x_train in an npz file."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, old in members.items():
            if name == "x_train.npy":
                archive.writestr(name, content, method, compresslevel=1)
            else:
                archive.writestr(name, old)
    return path


def npy(header):
    raw = header.encode()
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(raw)) + raw + bytes(64)


def test_npz_header_of_endless_length(save):
    """NumPy would take the length from the file and read as much."""
    n_bytes = 1 << 26
    content = b"\x93NUMPY\2\0" + struct.pack("<I", n_bytes) + bytes(n_bytes)
    path = save_member(save(), content)
    del content
    tracemalloc.start()
    try:
        assert f"a header of {n_bytes} bytes" in one_line(npz, path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 23
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_npz_packed_by_what_expands_without_bounds(save, method):
    path = save_member(save(), bytes(1 << 20), method)
    assert f"packed by method {method}; allowed are stored" in one_line(npz, path)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-60, 6, 5, 2)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-60, -6, 5, 2)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (60",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (60L, 6L",
        "{'descr': (), 'fortran_order': False, 'shape': (60, 6, 5, 2)}",
        "{'descr': '|V" + "9" * 30 + "', 'fortran_order': False, 'shape': (60,)}",
        "{'descr': __import__('os').abort(), 'fortran_order': False, 'shape': (60,)}",
        "(" * 5000,
        "-" * 9999,
    ],
)
def test_npz_header_that_is_none(save, header):
    line = one_line(npz, save_member(save(), npy(header)))
    assert "x_train is no array that numpy.savez writes" in line
    assert len(line) < 1000


def test_npz_header_of_python_2(save, arrays):
    """NumPy warns where it takes one; a warning is a second line."""
    shape = "(60L, 6L, 5L, 2L)"
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}\n"
    content = npy(header)[:-64] + arrays["x_train"].tobytes()
    x, _ = collect(npz(save_member(save(), content)))
    np.testing.assert_array_equal(x, arrays["x_train"])


def test_npz_damaged_names_are_not_repeated_at_length(save):
    path = save()
    content = bytearray(path.read_bytes())
    content[26:28] = b"\xff\xff"
    path.write_bytes(content)
    assert len(one_line(npz, path)) < 1000
