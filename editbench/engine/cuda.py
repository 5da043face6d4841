"""An NVIDIA or AMD device, through torch."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING, Any

from editbench.engine.devices import Stop, Wait, at_once, chunks, never, read_exactly
from editbench.errors import OutOfMemory, Stopped
from editbench.units import format_bytes

if TYPE_CHECKING:
    import torch

_PAGE = 2 << 20  # bytes; torch rounds large allocations up to multiples of it
PIN_CHUNK = 4 << 30  #: bytes pinned by one call; a multiple of CHUNK, as no copy may straddle two


class CudaDevice:
    """An NVIDIA or AMD device. Copies run beside the models, on a stream of their own."""

    def __init__(self, index: int = 0, budget: int | None = None) -> None:
        import torch

        self.name = f"cuda:{index}"
        self.place = torch.device("cuda", index)
        self.unified = False
        self.out_of_memory: type[Exception] = torch.OutOfMemoryError
        self.copied_in = 0
        self.copied_back = 0
        self._marked = 0
        self._stream: torch.cuda.Stream = torch.cuda.Stream(self.place)  # type: ignore[no-untyped-call]
        whole = self._memory()[1]
        self.limit = whole if budget is None else min(whole, budget)
        if budget is not None:
            share = self.limit / whole
            torch.cuda.set_per_process_memory_fraction(share, self.place)

    def total(self) -> int:
        return self.limit

    def free(self) -> int:
        import torch

        reserved = torch.cuda.memory_reserved(self.place)
        unused = reserved - torch.cuda.memory_allocated(self.place)
        room = min(self._memory()[0], self.total() - reserved) + unused
        return max(0, room // _PAGE * _PAGE)

    def allocate(self, size: int) -> torch.Tensor:
        import torch

        try:
            return torch.empty(size, dtype=torch.uint8, device=self.place)
        except torch.OutOfMemoryError as exc:
            raise OutOfMemory(
                f"{self.name} could not hold {format_bytes(size)} of weights, "
                f"{format_bytes(self.free())} are free",
                hint="end other programs on it, or lower memory.device_budget",
            ) from exc

    def release(self, memory: torch.Tensor) -> None:
        pass  # torch takes it back with the last reference

    def discard(self, memory: torch.Tensor) -> None:
        pass

    def copy(self, target: torch.Tensor, source: torch.Tensor, *, stop: Stop = never) -> Wait:
        import torch

        compute = torch.cuda.current_stream(self.place)
        self._stream.wait_stream(compute)  # the old model may still be reading these bytes
        done: list[torch.cuda.Event] = []
        with torch.cuda.device(self.place), torch.cuda.stream(self._stream):
            try:
                for start, end in chunks(source):
                    if len(done) >= 2:
                        done[-2].synchronize()  # so that a stop is heard two chunks later at most
                    if stop():
                        raise Stopped("stopped while a model was being moved")
                    target[start:end].copy_(source[start:end], non_blocking=True)
                    done.append(self._stream.record_event())
                    self.copied_in += target.is_cuda * (end - start)
                    self.copied_back += source.is_cuda * (end - start)
            except BaseException:
                with suppress(RuntimeError):  # the memory may become another model's at once
                    self._stream.synchronize()
                raise
        compute.wait_stream(self._stream)
        return done[-1].synchronize if done else at_once

    def read(self, file: int, memory: torch.Tensor, offset: int) -> None:
        read_exactly(file, memory, offset)

    def synchronize(self) -> None:
        import torch

        torch.cuda.synchronize(self.place)

    def register(self, memory: torch.Tensor) -> bool:
        import torch

        cudart = self._runtime()
        with torch.cuda.device(self.place):
            for start in range(0, memory.numel(), PIN_CHUNK):
                size = min(PIN_CHUNK, memory.numel() - start)
                if int(cudart.cudaHostRegister(memory.data_ptr() + start, size, 0)):
                    for pinned in range(0, start, PIN_CHUNK):
                        cudart.cudaHostUnregister(memory.data_ptr() + pinned)
                    self._clear_error()
                    return False
        return True

    def unregister(self, memory: torch.Tensor) -> None:
        import torch

        with suppress(RuntimeError):  # a device that is lost must not keep host memory with it
            self.synchronize()
        cudart = self._runtime()
        with torch.cuda.device(self.place):
            for start in range(0, memory.numel(), PIN_CHUNK):
                cudart.cudaHostUnregister(memory.data_ptr() + start)

    def empty_cache(self) -> None:
        import torch

        with torch.cuda.device(self.place):  # another current device has unmapped live memory
            torch.cuda.empty_cache()

    def current(self) -> AbstractContextManager[object]:
        import torch

        return torch.cuda.device(self.place)

    def mark(self) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats(self.place)
        self._marked = torch.cuda.memory_allocated(self.place)

    def taken(self) -> int:
        import torch

        return max(0, torch.cuda.max_memory_allocated(self.place) - self._marked)

    def _memory(self) -> tuple[int, int]:
        import torch

        free, total = torch.cuda.mem_get_info(self.place)
        return int(free), int(total)

    def _runtime(self) -> Any:
        import torch

        return torch.cuda.cudart()  # type: ignore[no-untyped-call]

    def _clear_error(self) -> None:
        import torch

        # A failed registration stays behind and would surface in the next unrelated call.
        try:
            torch.ones(1, device=self.place).add_(1)
            self.synchronize()
        except RuntimeError:
            self.synchronize()
