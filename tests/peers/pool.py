"""What a Python program does in the place of wasmpool: the same jobs in a ProcessPoolExecutor with two workers.

Usage: pool.py primes | divisors COUNT | submit COUNT | crash | endless
One line for each result, as soon as it is there.
"""

import math
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

WORKERS = 2


def is_prime(n):
    if n < 2:
        return False
    if n == 2:
        return True
    if n % 2 == 0:
        return False
    for divisor in range(3, math.isqrt(n) + 1, 2):
        if n % divisor == 0:
            return False
    return True


def count_primes(start, end):
    return sum(1 for n in range(start, end) if is_prime(n))


def count_divisors(n):
    root = math.isqrt(n)
    count = sum(2 for divisor in range(1, root + 1) if n % divisor == 0)
    return count - 1 if root and root * root == n else count


def spin(n):
    while n % 2 == 1:
        pass
    return n


def say(result):
    print(result, flush=True)


def primes():
    with ProcessPoolExecutor(WORKERS) as pool:
        starts = range(0, 800_000, 100_000)
        for count in pool.map(count_primes, starts, [start + 100_000 for start in starts]):
            say(count)


def divisors(count):
    # As many in a chunk as make it quickest, or nearly so.
    with ProcessPoolExecutor(WORKERS) as pool:
        for result in pool.map(count_divisors, range(count), chunksize=100):
            say(result)


def submit(count):
    with ProcessPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(count_divisors, n) for n in range(count)]
        for future in futures:
            say(future.result())


def crash():
    with ProcessPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(count_primes, 0, 20_000) for _ in range(100)]
        for future in as_completed(futures):
            try:
                say(future.result())
            except BrokenProcessPool as error:
                print(f"BrokenProcessPool: {error}", file=sys.stderr, flush=True)


def endless():
    with ProcessPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(spin, n) for n in range(2)]
        for future in futures:
            try:
                say(future.result(timeout=1))
            except TimeoutError:
                print("TimeoutError", file=sys.stderr, flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["primes"]:
            primes()
        case ["divisors", count]:
            divisors(int(count))
        case ["submit", count]:
            submit(int(count))
        case ["crash"]:
            crash()
        case ["endless"]:
            endless()
