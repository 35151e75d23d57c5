"""The step in place: a rule is read, printed as a loop, and run over packed buffers.

`trace` runs the rule once with tracers and gets a `program`; `kernel` compiles it;
`driver` keeps parameters and states in `buffers` and calls the kernel at every step.
"""
