"""What data files are made from: npz files, idx files, CIFAR-10's archive."""

import gzip
import io
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from fuzzing import Target
from fuzzing_bytes import damage, damage_text

from stsyn_mpi.datasets.cifar10 import cifar10
from stsyn_mpi.datasets.fashion_mnist import fashion_mnist
from stsyn_mpi.datasets.npz import npz
from stsyn_mpi.datasets.writer import write_data_file

RECORD = 3073
KEYS = ("x_train", "y_train", "x_test", "y_test")
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED)
METHODS += (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
SIZES = (0, 1, 27, 28, 29, 65536, 1 << 26, (1 << 32) - 1)


def convert(reader):
    def read(path):
        write_data_file(path.with_name("out.h5"), reader(path))

    return read


def changed_bytes(random, folder, where):
    """Damage one of the seeds as it is."""
    chosen = random.choice(sorted(folder.iterdir()))
    path = where / chosen.name
    path.write_bytes(damage(random, chosen.read_bytes()))
    return path


# npz


def npz_seeds(folder):
    random = np.random.default_rng(3)
    content = {
        "x_train": random.integers(0, 256, (20, 5, 4), dtype=np.uint8),
        "y_train": np.arange(20) % 3,
        "x_test": random.random((7, 5, 4), dtype=np.float32),
        "y_test": np.arange(7, dtype=np.uint8) % 3,
    }
    np.savez(folder / "plain.npz", **content)
    np.savez_compressed(folder / "packed.npz", **content)


def npz_input(random, folder, where):
    """Damage the file, or an array in it that is then packed again."""
    if random.random() < 0.3:
        return changed_bytes(random, folder, where)
    path = where / "packed.npz"
    with zipfile.ZipFile(folder / path.name) as old, zipfile.ZipFile(path, "w") as new:
        chosen = random.choice(KEYS)
        for key in KEYS:
            name = f"{key}.npy"
            content, method = old.read(name), zipfile.ZIP_DEFLATED
            if key == chosen and random.random() < 0.02:
                content = _endless_header(random)
            elif key == chosen:
                content, method = _other_array(random, content), random.choice(METHODS)
            new.writestr(name, content, method, compresslevel=1)
    return path


def _endless_header(random):
    length = random.choice((300 << 20, (1 << 32) - 1))
    return b"\x93NUMPY\2\0" + struct.pack("<I", length) + bytes(300 << 20)


def _other_array(random, content):
    if random.random() < 0.3:
        return damage(random, content)
    header, rows = content[10:128].decode(), content[128:]
    words = ("-1", "'O'", "'|V1000000000'", "()", "[]", "(1,)", "1" + "0" * 30, "True")
    words += ("(" * 300, "('<f4',(2,))", "[('a','<f4')]", "20L", "'<M8[ns]'", "'<f2'")
    words += ("'>i8'", "'|S100'", "'<c16'", "'?'", "'<f16'")
    header = damage_text(random, header, words).encode(errors="replace")[:65535]
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + rows


# idx


def idx_seeds(folder):
    """A file for each of the four, in one, behind a line with its name."""
    for stem, n in (("train", 8), ("t10k", 5)):
        head = struct.pack(">BBBBIII", 0, 0, 8, 3, n, 28, 28)
        images = head + bytes(range(16)) * (n * 49)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(images)
        labels = struct.pack(">BBBBI", 0, 0, 8, 1, n) + bytes(range(n))
        (folder / f"{stem}-labels-idx1-ubyte").write_bytes(labels)


def idx_input(random, folder, where):
    """Return a folder of idx files of which one is damaged, before or after gzip."""
    files = sorted(folder.iterdir())
    chosen = random.choice(files)
    (where / "idx").mkdir()
    for source in files:
        content, name = source.read_bytes(), source.name
        is_packed, is_lying = random.random() < 0.5, random.random() < 0.4
        if source == chosen and is_lying:
            place = random.choice((4, 8, 12))
            size = random.choice(SIZES)
            content = content[:place] + struct.pack(">I", size) + content[place + 4 :]
        elif source == chosen and random.random() < 0.5:
            content = damage(random, content)
        if is_packed:
            content, name = gzip.compress(content, 1, mtime=0), f"{name}.gz"
            if source == chosen and not is_lying:
                content = damage(random, content)
            elif source == chosen:
                content = _fitting_length(random, content, gzip.decompress(content))
        (where / "idx" / name).write_bytes(content)
    return where / "idx"


def _fitting_length(random, packed, content):
    """Let the length at the end of a gzip file say what the idx header says."""
    n_axes = content[3]
    shape = struct.unpack(f">{n_axes}I", content[4 : 4 + 4 * n_axes])
    length = 4 + 4 * n_axes + int(np.prod(shape, dtype=object))
    return packed[:-4] + struct.pack("<I", length % 2**32)


# CIFAR-10


def cifar_seeds(folder):
    with tarfile.open(folder / "cifar.tar", "w") as archive:
        _add(archive, "cifar-10-batches-bin", b"", tarfile.DIRTYPE)
        names = [f"data_batch_{k}.bin" for k in range(1, 6)] + ["test_batch.bin"]
        for name in names:
            content = (bytes([3]) + bytes(RECORD - 1)) * 2
            _add(archive, f"cifar-10-batches-bin/{name}", content)


def _add(archive, name, content, kind=tarfile.REGTYPE):
    member = tarfile.TarInfo(name)
    member.size, member.type = len(content), kind
    archive.addfile(member, io.BytesIO(content))


def cifar_input(random, folder, where):
    """Damage the archive, or a header whose checksum is then mended; or its gzip."""
    content = (folder / "cifar.tar").read_bytes()
    for _ in range(random.choice((1, 1, 2))):
        place = 512 * random.randrange(len(content) // 512)
        if random.random() < 0.7:
            headers = [i for i in range(0, len(content), 512) if _is_header(content, i)]
            place = random.choice(headers)
        block = damage(random, content[place : place + 512])[:512].ljust(512, b"\0")
        content = content[:place] + _checked(block) + content[place + 512 :]
    path = where / "cifar.tar.gz"
    if random.random() < 0.5:
        content = gzip.compress(content, 1, mtime=0)
    if random.random() < 0.2:
        content = damage(random, content)
    path.write_bytes(content)
    return path


def _is_header(content, place):
    return content[place + 257 : place + 262] == b"ustar"


def _checked(block):
    if block[257:262] != b"ustar":
        return block
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    return block[:148] + f"{total:06o}\0 ".encode() + block[156:]


TARGETS = {
    "npz": Target(npz_seeds, npz_input, convert(npz)),
    "idx": Target(idx_seeds, idx_input, convert(fashion_mnist)),
    "cifar10": Target(cifar_seeds, cifar_input, convert(cifar10)),
}


@pytest.mark.parametrize(
    ("name", "n_inputs"), [("npz", 300), ("idx", 600), ("cifar10", 600)]
)
def test_archives(feed, name, n_inputs):
    feed(__file__, name, n_inputs)
