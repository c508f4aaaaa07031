"""What `fetch`, `coverage` and `race` work on: published modules, and programs built from published C.

Nothing of either is in the repository; `fetch` puts both into BUILD. Modules and crates are pinned by
version and by the hash of their bytes.
"""

import dataclasses
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = HERE / "build"
MODULES = BUILD / "modules"
PROGRAMS = BUILD / "programs"
KERNELS = ROOT / "bench/kernels"


class Failure(Exception):
    """What went wrong and the way out; printed without a trace."""


@dataclasses.dataclass(frozen=True)
class Module:
    """A wasm module in an npm package.

    `packing` says how it lies in the file `path`: as it is, as base64 in quotes, or in the alphabet of
    meshoptimizer's scripts.
    """

    name: str
    package: str
    version: str
    path: str
    sha256: str
    packing: str = "plain"

    @property
    def file(self):
        return MODULES / f"{self.name}.wasm"


MODULE_LIST = [
    Module("webp-encoder", "@jsquash/webp", "1.5.0", "codec/enc/webp_enc_simd.wasm",
           "39c279269ec1163b987b6d69749458e3d5b03b9585f58b6ca5455b76b504a305"),
    Module("jph-codec", "@cornerstonejs/codec-openjph", "2.4.11", "dist/openjphjs.wasm",
           "4f5d495f3eacd36a9e5e04c51dd94d48fdf2222120b28b9b006869478e757a39"),
    Module("tensor-kernels", "@tensorflow/tfjs-backend-wasm", "4.22.0", "dist/tfjs-backend-wasm-simd.wasm",
           "77ebb28a6d34f371dbbf2086b7f2de8994acd8ea5a3cf1fa24d2c26c840cac7b"),
    Module("physics", "@dimforge/rapier3d-simd", "0.20.0", "rapier_wasm3d_bg.wasm",
           "eeae0bc27ed97b5f29c7544896fda7fb27982ebb52e96d29f215b1749e4b882b"),
    Module("argon2", "argon2-browser", "1.18.0", "dist/argon2-simd.wasm",
           "b1a948019a8f4a798401f3f6abc669d8ed5b2ffb3f6b59d08b7f74b6834f8620"),
    Module("mesh-decoder", "meshoptimizer", "1.3.0", "meshopt_decoder.mjs",
           "757416de9b71e606c813fe6726b3bf2ab675682c3d6b99042126e7a7e16c2c60", "meshoptimizer"),
    Module("http-parser", "undici", "8.12.4", "lib/llhttp/llhttp_simd-wasm.js",
           "18403ee56fab07f89a845028bad358bb3ebcda213f8e2ec0989a991e9c33da69", "base64"),
    Module("tensor-kernels-threads", "@tensorflow/tfjs-backend-wasm", "4.22.0",
           "dist/tfjs-backend-wasm-threaded-simd.wasm",
           "c052228d4bef185c27bbe59a9e029570c78bbb9f08b3cb46b597851650373de2"),
    Module("jxl-encoder-threads", "@jsquash/jxl", "1.3.0", "codec/enc/jxl_enc_mt_simd.wasm",
           "8b5b3a537864181465e202df1913f7bbe333a168eacc48ddf945c3ce011fdb42"),
    Module("jxl-codec-threads", "wasm-vips", "0.0.19", "lib/vips-jxl.wasm",
           "ffdd01c8dbd6a8fc616f1a023cbf2b526d12df770f5adca96e44cdf8c20c8afe"),
    Module("avif-encoder-threads", "@jsquash/avif", "2.1.1", "codec/enc/avif_enc_mt.wasm",
           "202d7ec9fb7d658df7cbf17fd85d83da724ac9551818c2d5161c858353a683a4"),
    Module("onnx-runtime-threads", "onnxruntime-web", "1.30.0", "dist/ort-wasm-simd-threaded.wasm",
           "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"),
]

# The crates that carry the C sources; sha256 of the packed crate.
CRATES = {
    "libwebp-sys": ("0.14.4", "6b3a87b44e34d17161e4f17d92a463d596cb13825dcd1758ed18fd3a721e189c"),
    "blake3": ("1.8.7", "6d9e454fc11f76977dc803893aff6304ed33d6a26efae8696573bea74baa27ae"),
    "mozjpeg-sys": ("2.2.3", "7f0dc668bf9bf888c88e2fb1ab16a406d2c380f1d082b20d51dd540ab2aa70c1"),
    "zstd-sys": ("2.1.2", "481ada9c543b2323cbb7bbdbb5249177fbf0188ed959ed2c15e4b22421c84ed3"),
    "libdeflate-sys": ("1.26.1", "d7870e5fbd2766179a937c725fb11f4ca0ef025d982beb61bd3ce755425bd19c"),
    "lz4-sys": ("1.11.1", "6bd8c0d6c6ed0cd30b3652886bb8711dc4bb01d637a68105a3d5158039b418e6"),
}


@dataclasses.dataclass(frozen=True)
class Program:
    """A WASI program: `drivers/NAME.c` with the C sources of a crate, patterns below the crate's folder.

    `modes` gives the turns of each mode, about half a second of work.
    """

    name: str
    crate: str
    sources: tuple
    includes: tuple
    modes: dict
    flags: tuple = ()
    without: tuple = ()
    written: dict = dataclasses.field(default_factory=dict)

    @property
    def file(self):
        return PROGRAMS / f"{self.name}.wasm"


PROGRAM_LIST = [
    Program("webp", "libwebp-sys",
            ("vendor/src/dec/*.c", "vendor/src/dsp/*.c", "vendor/src/enc/*.c", "vendor/src/utils/*.c",
             "vendor/sharpyuv/*.c"),
            ("vendor", "vendor/src"),
            {"encode": 2, "decode": 60, "encode-lossless": 4, "decode-lossless": 75},
            ("-DEMSCRIPTEN", "-DWEBP_USE_SSE2", "-DWEBP_HAVE_SSE2", "-DWEBP_USE_SSE41", "-DWEBP_HAVE_SSE41")),
    Program("blake3", "blake3",
            ("c/blake3.c", "c/blake3_dispatch.c", "c/blake3_portable.c", "c/blake3_neon.c"), ("c",),
            {"hash": 320},
            ("-DBLAKE3_USE_NEON=1",)),
    Program("jpeg", "mozjpeg-sys",
            tuple(f"vendor/{name}.c" for name in """
                jaricom jcapimin jcapistd jcarith jccoefct jccolor jcdctmgr jcext jchuff jcinit jcmainct jcmarker
                jcmaster jcomapi jcparam jcphuff jcprepct jcsample jctrans jdapimin jdapistd jdarith jdatadst
                jdatasrc jdcoefct jdcolor jddctmgr jdhuff jdinput jdmainct jdmarker jdmaster jdmerge jdphuff
                jdpostct jdsample jdtrans jerror jfdctflt jfdctfst jfdctint jidctflt jidctfst jidctint jidctred
                jmemmgr jmemnobs jquant1 jquant2 jsimd_none jutils""".split()),
            ("vendor",),
            {"encode": 80, "decode": 80},
            written={
                "jconfig.h": """
                    #define JPEG_LIB_VERSION 62
                    #define LIBJPEG_TURBO_VERSION 0
                    #define BITS_IN_JSAMPLE 8
                    #define STDC_HEADERS 1
                    #define NO_GETENV 1
                    #define NO_PUTENV 1
                    #define HAVE_STDLIB_H 1
                    #define HAVE_UNSIGNED_CHAR 1
                    #define HAVE_UNSIGNED_SHORT 1
                    #define MEM_SRCDST_SUPPORTED 1
                    #define C_ARITH_CODING_SUPPORTED 1
                    #define D_ARITH_CODING_SUPPORTED 1
                    """,
                "jconfigint.h": """
                    #define BUILD "egraft"
                    #define INLINE inline __attribute__((always_inline))
                    #define HIDDEN __attribute__((visibility("hidden")))
                    #define THREAD_LOCAL
                    #define SIZEOF_SIZE_T 4
                    #define HAVE_BUILTIN_CTZL 1
                    #define FALLTHROUGH
                    #define PACKAGE_NAME "mozjpeg"
                    #define VERSION "driver"
                    """,
                "jversion.h": """
                    #define JVERSION "driver"
                    #define JCOPYRIGHT ""
                    #define JCOPYRIGHT_SHORT ""
                    """,
            }),
    Program("zstd", "zstd-sys",
            ("zstd/lib/common/*.c", "zstd/lib/compress/*.c", "zstd/lib/decompress/*.c"), ("zstd/lib",),
            {"compress-3": 35, "compress-9": 3, "decompress": 100},
            ("-DZSTD_DISABLE_ASM", "-DXXH_PRIVATE_API="),
            without=("xxhash.c",)),
    Program("deflate", "libdeflate-sys", ("libdeflate/lib/*.c",), ("libdeflate",),
            {"compress": 12, "decompress": 200, "adler32": 850, "crc32": 660}),
    Program("lz4", "lz4-sys", ("liblz4/lib/lz4.c", "liblz4/lib/lz4hc.c"), ("liblz4/lib",),
            {"compress": 180, "compress-high": 8, "decompress": 550}),
]


def add_egraft(parser):
    parser.add_argument("--egraft", type=pathlib.Path, default=ROOT / "target/release/egraft",
                        help="the command (default: %(default)s)")


def need_egraft(path):
    if not path.is_file():
        raise Failure(f"{path} is not there; run `cargo build --release -p egraft-cli`, or give --egraft")
    return path.resolve()


def say(text):
    """Progress, on standard error, so that tables can be piped."""
    print(text, file=sys.stderr, flush=True)


def start(main):
    try:
        sys.exit(main())
    except (Failure, OSError) as error:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {error}")
