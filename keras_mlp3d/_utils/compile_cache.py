"""Keeps the programs that JAX compiles for the next process, in the user's cache.

The environment variable KERAS_MLP3D_COMPILE_CACHE turns it off (`off`) or names another folder. A
choice that JAX has been given already, such as JAX_COMPILATION_CACHE_DIR, is left alone.
"""

import hashlib
import os
import pathlib
import platform

VARIABLE = "KERAS_MLP3D_COMPILE_CACHE"
_OFF = ("off", "0", "no", "false")
#: The programs used longest ago give way to new ones beyond this size.
_MAX_BYTES = 2**30
#: Programs that compile in less time than this many seconds are not worth a file.
_LEAST_SECONDS = 0.2


def keep_compiled_programs() -> None:
    """Have JAX keep what it compiles, unless the user has decided otherwise."""
    import jax

    wanted = os.environ.get(VARIABLE, "")
    decided = jax.config.jax_compilation_cache_dir or not jax.config.jax_enable_compilation_cache
    if wanted.lower() in _OFF or decided:
        return
    folder = pathlib.Path(wanted).expanduser() if wanted else _user_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError:  # a home that cannot be written is no reason not to work
        return
    if not os.access(folder, os.W_OK):
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _MAX_BYTES)
    if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
        jax.config.update("jax_persistent_cache_min_compile_time_secs", _LEAST_SECONDS)


def _user_folder() -> pathlib.Path:
    """Return the folder of this user and this kind of processor.

    A program for the CPU is machine code, and a home may be shared by machines with other
    processors.
    """
    from huggingface_hub import constants

    text = platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            text += next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:  # not Linux
        pass
    kind = hashlib.sha256(text.encode()).hexdigest()[:12]
    return pathlib.Path(constants.HF_ASSETS_CACHE, "keras_mlp3d", "compiled", kind)
