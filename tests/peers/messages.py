"""What a Python program does with a queue: a process that puts numbers, and this one, which takes them.

Usage: messages.py COUNT CAPACITY
Prints the sum, and how many seconds it took from the first number to the last.
"""

import sys
import time
from multiprocessing import Process, Queue


def produce(queue, count):
    for number in range(count):
        queue.put(number)
    queue.put(None)


if __name__ == "__main__":
    count, capacity = map(int, sys.argv[1:])
    queue = Queue(capacity)
    producer = Process(target=produce, args=(queue, count))
    producer.start()
    total = queue.get()
    start = time.perf_counter()
    while (number := queue.get()) is not None:
        total += number
    print(total, time.perf_counter() - start)
    producer.join()
