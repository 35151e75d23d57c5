"""The primitives, by what they do; `deepopt_lib.autodiff` offers them all."""
