from __future__ import annotations

import pytest
import torch
import transformers

from editbench.backends import libraries
from editbench.errors import BackendError


def test_threads_are_set_and_none_means_what_torch_chose() -> None:
    own = torch.get_num_threads()
    libraries.use_threads(own + 1)
    assert torch.get_num_threads() == own + 1
    libraries.use_threads(None)
    assert torch.get_num_threads() == own


def test_bars_and_chatter_are_silenced() -> None:
    log = transformers.utils.logging
    log.enable_progress_bar()
    log.set_verbosity_info()
    libraries.silence("transformers", "diffusers")
    assert not log.is_progress_bar_enabled()
    assert log.get_verbosity() == log.ERROR


def test_whatever_a_library_raises_while_loading_is_a_backend_error() -> None:
    with pytest.raises(BackendError, match="cannot load toy: KeyError: 'x'"):
        with libraries.loading("toy"):
            raise KeyError("x")
    with pytest.raises(BackendError, match=r"^ours$"), libraries.loading("toy"):
        raise BackendError("ours")


def test_an_automatic_dtype_is_exact_for_tiny_models() -> None:
    assert libraries.choose_dtype("auto", tiny=True) == "fp32"
    assert libraries.choose_dtype("bf16", tiny=True) == "bf16"
    expected = "bf16" if torch.accelerator.is_available() else "fp32"
    assert libraries.choose_dtype("auto", tiny=False) == expected


def test_versions_name_only_what_is_installed() -> None:
    assert libraries.versions()["torch"] == torch.__version__
