/* scribble.h - a store that something has scribbled over.
 *
 * One input describes a few writes into the shared memory of a store with
 * keys of every kind.  Then everything that may be called is called: readers
 * must neither crash nor leave the memory, whatever the input; nor may
 * writers, where the table of threads with its mutexes is spared (what a wild
 * pointer does to a pthread mutex is beyond us).  The memory lies between
 * pages that cannot be touched.
 */

#ifndef SCRIBBLE_H
#define SCRIBBLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** What became of one input. */
typedef struct scribble_result {
    bool found_broken;   /* the audit said what is broken */
    unsigned hits;       /* keys still read */
} scribble_result_t;

/** Make the store that every input starts from; once. */
void scribble_setup(void);

/**
 * Scribble and call everything.
 *
 * @param writers  call the writers too; spares the table of threads
 */
scribble_result_t scribble_run(const uint8_t *input, size_t bytes,
                               bool writers);

#endif
