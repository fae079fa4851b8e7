"""Methods of Keras that are replaced for a while."""

import contextlib


@contextlib.contextmanager
def replaced(replacements):
    """Replaces attributes, and puts them back in the end.

    Args:
        replacements: Rows of (owner, name, function that makes the new one of the old one).
    """
    with contextlib.ExitStack() as stack:
        for owner, name, make in replacements:
            own = name in vars(owner)
            old = getattr(owner, name)
            setattr(owner, name, make(old))
            if own:
                stack.callback(setattr, owner, name, old)
            else:
                stack.callback(delattr, owner, name)
        yield
