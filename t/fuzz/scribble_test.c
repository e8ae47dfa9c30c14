/* scribble_test.c - scribbled stores by the thousand, from a seeded random
 * number generator; and that the audit finds what was planted. */

#include "scribble.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t state;

static uint64_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* Run inputs until the time is over, at least `least`. */
static unsigned run_for(unsigned seconds, unsigned least, bool writers,
                        unsigned *broken)
{
    uint8_t input[200];
    unsigned runs = 0;
    time_t end = time(NULL) + (time_t)seconds;

    *broken = 0;
    while (runs < least || time(NULL) < end) {
        size_t bytes = 5 + next_random() % (sizeof(input) - 5);
        for (size_t i = 0; i < bytes; i++) {
            input[i] = (uint8_t)(next_random() >> 24);
        }
        /* One that hangs is as wrong as one that crashes. */
        alarm(120);
        *broken += scribble_run(input, bytes, writers).found_broken;
        runs++;
    }
    alarm(0);
    return runs;
}

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? (unsigned)atoi(argv[1]) : 5;
    unsigned broken;
    unsigned runs;
    unsigned failed = 0;

    state = argc > 2 ? strtoull(argv[2], NULL, 0) | 1
                     : UINT64_C(0x9e3779b97f4a7c15);
    scribble_setup();
    printf("1..4\n");
    bool clean = !scribble_run(NULL, 0, false).found_broken;
    failed += !clean;
    printf("%sok 1 - an untouched store passes its audit\n",
           clean ? "" : "not ");
    runs = run_for(seconds, 300, false, &broken);
    printf("ok 2 - readers survive a scribbled store\n# %u stores\n", runs);
    bool found = broken > runs / 4;
    failed += !found;
    printf("%sok 3 - the audit finds what is broken\n# in %u of them\n",
           found ? "" : "not ", broken);
    runs = run_for(seconds, 300, true, &broken);
    printf("ok 4 - writers survive a scribbled store\n# %u stores\n", runs);
    return failed != 0;
}
