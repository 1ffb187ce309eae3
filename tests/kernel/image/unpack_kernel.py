"""Takes the ELF image out of a bzImage that is compressed with xz: `unpack_kernel.py VMLINUZ VMLINUX`."""

import lzma
import sys
from pathlib import Path

XZ_MAGIC = b"\xfd7zXZ\x00"


def elf_image(kernel: bytes) -> bytes:
    start = kernel.find(XZ_MAGIC)
    while start >= 0:
        try:
            image = lzma.LZMADecompressor().decompress(kernel[start:])
        except lzma.LZMAError:  # these six bytes are also in the code that looks for them
            image = b""
        if image.startswith(b"\x7fELF"):
            return image
        start = kernel.find(XZ_MAGIC, start + 1)
    raise SystemExit("unpack_kernel: no ELF image compressed with xz in it")


if __name__ == "__main__":
    Path(sys.argv[2]).write_bytes(elf_image(Path(sys.argv[1]).read_bytes()))
