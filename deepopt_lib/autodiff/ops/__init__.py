"""The primitives, by what they do; `deepopt_lib.autodiff` offers them all."""

__all__: list[str] = []
