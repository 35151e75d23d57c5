"""Python imports this at its start: the ranks of MPI compute otherwise too."""

from tools.portable.hook import install

install()
