"""What a fit borrows from the process and gives back.

Random streams, threads, precision, modes and devices. Importing this module also
registers a hook that keeps forked children from hanging.
"""

import inspect
import os
import signal
import threading
import types
from contextlib import contextmanager, nullcontext

import numpy as np
import torch

# Work (floating-point operations) from which a rule of this file changes its answer.
THREADED_STEP = 5e8  # one step; below it a second thread costs more than it gains
SMALL_FIT = 1e10  # a whole fit; about a second in double precision on one core
AUTOCAST_STEP = 5e8  # one step; below it the casts to bfloat16 cost more than they gain
MOST_THREADS = 256  # a million of them would end the process

_forked = _has_lazy_parts = False
_global_rng_lock = threading.RLock()


def _after_fork_in_child():
    """Use one thread: libgomp's pool does not survive a fork (pytorch issue 17199)."""
    global _forked, _global_rng_lock
    _forked = True
    _global_rng_lock = threading.RLock()  # another thread may have held it
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class RandomStreams:
    """Independent random streams of one fit, all derived from one integer seed.

    `order` shuffles rows, `init` draws weights, `corruption` spoils batches and
    `split_seed` is for the rows to hold out. Code that can only use torch's global
    generator (a user's network with dropout, say) runs inside `lent()`.
    """

    def __init__(self, seed):
        order, init, lent, split, corruption = np.random.SeedSequence(seed).spawn(5)
        self.order = np.random.default_rng(order)
        self.init = torch.Generator().manual_seed(_as_seed(init))
        self.corruption = torch.Generator().manual_seed(_as_seed(corruption))
        self.split_seed = _as_seed(split)
        self._lent_seed = _as_seed(lent)
        self._lent_states = None

    @contextmanager
    def lent(self, device="cpu"):
        """Put our stream in place of torch's global one for a while."""
        on_cuda = torch.device(device).type == "cuda"
        with _global_rng_lock:
            saved = _global_rng_states(on_cuda)
            if self._lent_states is None:
                torch.random.default_generator.manual_seed(self._lent_seed)
                if on_cuda:
                    torch.cuda.manual_seed(self._lent_seed)
            else:
                _set_global_rng_states(self._lent_states)
            try:
                yield
            finally:
                self._lent_states = _global_rng_states(on_cuda)
                _set_global_rng_states(saved)

    @contextmanager
    def repeated(self, device="cpu"):
        """Put the same stream in place of torch's global one, each time anew."""
        states, self._lent_states = self._lent_states, None
        try:
            with self.lent(device):
                yield
        finally:
            self._lent_states = states

    def copy(self):
        """Return streams that go on as these do."""
        streams = RandomStreams(0)
        streams.set_state(self.get_state())
        return streams

    def get_state(self):
        """Return numbers ("facts", fit for JSON) and tensors that say it all."""
        tensors = {
            "init": self.init.get_state(),
            "corruption": self.corruption.get_state(),
        }
        if self._lent_states is not None:
            tensors["lent"] = self._lent_states[0]
        seeds = {"split": self.split_seed, "lent": self._lent_seed}
        return {
            "facts": {"order": self.order.bit_generator.state, "seeds": seeds},
            "tensors": tensors,
        }

    def set_state(self, state):
        """Take over what `get_state` returned; a GPU's stream starts anew."""
        facts, tensors = state["facts"], state["tensors"]
        self.order.bit_generator.state = facts["order"]
        self.split_seed, self._lent_seed = (
            facts["seeds"]["split"],
            facts["seeds"]["lent"],
        )
        self.init.set_state(tensors["init"])
        self.corruption.set_state(tensors["corruption"])
        if "lent" in tensors:
            self._lent_states = tensors["lent"], None


def _as_seed(sequence):
    return int(sequence.generate_state(1, np.uint64)[0] >> 1)


def _global_rng_states(on_cuda):
    return torch.get_rng_state(), torch.cuda.get_rng_state() if on_cuda else None


def _set_global_rng_states(states):
    cpu_state, cuda_state = states
    torch.set_rng_state(cpu_state)
    if cuda_state is not None:
        torch.cuda.set_rng_state(cuda_state)


def undrawn(kind, *sizes, **options):
    """Return a new layer without weights: they are to be set.

    As `nn.utils.skip_init`, which imports sympy and half of torch on its way.
    """
    bare = type(kind.__name__, (kind,), {"reset_parameters": lambda layer: None})
    layer = bare(*sizes, **options)
    layer.__class__ = kind
    return layer


@contextmanager
def interrupts_deferred():
    """Let a Ctrl-C wait until the end, where one can be let wait."""
    handler = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if not (is_main and callable(handler)):  # not ours, or it never gets to us
        yield
        return
    came = []
    signal.signal(signal.SIGINT, lambda *arguments: came.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if came:
            handler(*came[0])


def import_lazy_parts():
    """Have torch import now what it would at its first step, in one piece.

    These are 800 modules; one that a Ctrl-C leaves half imported would break all later
    fits of the process.
    """
    global _has_lazy_parts
    if _has_lazy_parts:
        return
    with interrupts_deferred(), torch.device("cpu"):
        number = torch.nn.Parameter(torch.zeros(1))
        number.grad = torch.zeros(1)
        optimizer = torch.optim.AdamW([number], fused=True)
        torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=2)
        optimizer.step()
    _has_lazy_parts = True


@contextmanager
def torch_threads(n_threads):
    """Run with `n_threads` torch threads; None leaves torch's own setting."""
    before = torch.get_num_threads()
    if _forked or n_threads is None or n_threads == before:
        yield
        return
    torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def choose_threads(n_jobs, step_work):
    """Return the number of torch threads for steps of `step_work` operations.

    None is torch's own setting.
    """
    if n_jobs is not None:
        return None if n_jobs == -1 else min(int(n_jobs), MOST_THREADS)
    if step_work < THREADED_STEP:
        return 1
    n_free = count_free_cores()
    return n_free and min(n_free, torch.get_num_threads())


def count_products(network):
    """Return the number of multiplications in encoding and decoding one row.

    Each weight counts once, or as often as its layer says (`n_positions`).
    """
    return sum(
        weight.numel() * getattr(layer, "n_positions", 1)
        for layer in network.modules()
        for weight in layer.parameters(recurse=False)
    )


def count_free_cores():
    """Return how many cores nobody else uses now, at least one; None if unknown.

    Threads of one product wait for each other, and burn time where one of them has to
    share its core: up to 24 times as much was measured.
    """
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            running = int(file.read().split()[3].split("/")[0])
    except (OSError, ValueError, IndexError):  # not on Linux
        return None
    return max(1, (os.cpu_count() or 1) - max(running - 1, 0))  # we are running too


def is_out_of_memory(error):
    """Tell whether torch or NumPy found no memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    words = str(error)
    return isinstance(error, RuntimeError) and (
        "can't allocate memory" in words or "not enough memory" in words
    )


def in_halves(function, *tensors):
    """Return ``function(*tensors)``, by halves of the rows if memory does not do."""
    try:
        return function(*tensors)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error) or len(tensors[0]) < 2:
            raise
    middle = len(tensors[0]) // 2  # out of `except`, which holds on to what was made
    return torch.cat(
        [
            in_halves(function, *(x[:middle] for x in tensors)),
            in_halves(function, *(x[middle:] for x in tensors)),
        ]
    )


def choose_precision(precision, dtype, *, step_work, fit_work, device):
    """Return "float64", "float32" or "mixed": as asked, or by the work of the fit.

    A small fit computes in the dtype of X, so that it is exact; a large one in float32,
    with bfloat16 matrix products where the hardware has them.
    """
    if precision != "auto":
        return precision
    device = torch.device(device)
    if fit_work < SMALL_FIT and device.type != "mps":
        return np.dtype(dtype).name
    if step_work >= AUTOCAST_STEP and _has_bfloat16_products(device):
        return "mixed"
    return "float32"


def _has_bfloat16_products(device):
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = getattr(torch.cpu, "get_capabilities", dict)()  # torch >= 2.10
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return False


@contextmanager
def training_modes():
    """Undo modes of the caller in which no training is possible or exact."""
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        torch.autocast("cpu", enabled=False),
    ):
        yield


@contextmanager
def inference_modes():
    """Compute exactly and without gradients, whatever the caller's modes."""
    with torch.inference_mode(), unrounded(torch.device("cpu")):
        yield


def unrounded(device):
    """Return a context without products in bfloat16, inside training with them.

    For what adds up, or writes to numbers of its own: it needs one dtype.
    """
    is_rounded = torch.is_autocast_enabled(device.type)  # to leave it so takes 20 us
    return torch.autocast(device.type, enabled=False) if is_rounded else nullcontext()


def compiled(method, backend):
    """Return a method compiled on its own, whatever was compiled before.

    torch counts compilations per function and stops at eight: the ninth fit would
    train uncompiled.
    """
    if "isolate_recompiles" in inspect.signature(torch.compile).parameters:
        return torch.compile(method, backend=backend, isolate_recompiles=True)
    function = method.__func__  # an older torch: give it code of its own to count on
    copied = types.FunctionType(function.__code__.replace(), function.__globals__)
    return torch.compile(types.MethodType(copied, method.__self__), backend=backend)


def choose_device(device):
    """Return the torch device that `device` names; "auto" takes the fastest one."""
    if device != "auto":
        return torch.device(device)
    return torch.device(available_devices()[-1])


def available_devices():
    """Return the types of torch device on this machine, the fastest last."""
    devices = ["cpu"]
    if torch.backends.mps.is_available():
        devices.append("mps")
    if torch.cuda.is_available():
        devices.append("cuda")
    return devices


def check_device(device):
    """Raise if torch does not know the device or this machine does not have it."""
    if device == "auto":
        return
    available = available_devices()
    advice = f"Available here: {', '.join(available)}; 'auto' takes the last of them."
    try:
        parsed = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device={device!r} is not a torch device. {advice}") from None
    count = torch.cuda.device_count() if parsed.type == "cuda" else 1
    if parsed.type not in available or (parsed.index or 0) >= count:
        raise ValueError(f"device={device!r} is not available. {advice}")
