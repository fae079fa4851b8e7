"""A bounded memory of what was learned or said."""

import threading

from keras_mlp3d._utils.recent import Recent


def test_the_least_recently_used_is_forgotten():
    recent = Recent(2)
    assert recent.set("a", 1)
    assert recent.set("b", 2)
    assert recent.get("a") == 1  # used: "b" is now the oldest
    assert recent.set("c", 3)
    assert (recent.get("a"), recent.get("b"), recent.get("c")) == (1, None, 3)
    assert not recent.set("a", None)
    assert recent.get("a") is None


def test_one_of_many_threads_is_the_first():
    recent, firsts = Recent(10), []
    barrier = threading.Barrier(8)

    def say():
        barrier.wait()
        firsts.append(recent.set("said", True))

    threads = [threading.Thread(target=say) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(firsts) == [False] * 7 + [True]
