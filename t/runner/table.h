/* table.h - a job table whose parts are all played by one process, with a
 * view for each.  For the tests of a file of its own.
 */

#ifndef TABLE_H
#define TABLE_H

#include "kvt.h"
#include "runt.h"

enum { RUNNERS = 2, QUEUE = 3, SUBMITTERS = 3 };

extern ephpm_jobs_t *jobs;                  /* the submitter's */
extern ephpm_jobs_t *runner[RUNNERS];
extern ephpm_jobs_t *spawner;
extern ephpm_job_t job;
extern ephpm_task_t task;
extern runt_heard_t heard;
extern uint32_t orders;                     /* submitted so far */

#define assert_sound()                                                       \
    do {                                                                     \
        const char *broken_ = ephpm_jobs_check(jobs);                        \
        kvt_assert_msg(broken_ == NULL, "broken: %s", broken_);              \
    } while (0)

/** A table by itself. */
ephpm_jobs_t *make(unsigned queue, bool events);

/** A table with a spawner and a submitter, and no runner yet. */
void open_table(unsigned queue, bool events);

/** Let so many runners attach, and the pulse say so. */
void start_runners(unsigned count);

/* Fixtures: with runners; with events too; without runners; without a queue
 * and runners. */
void set_up(void);
void set_up_events(void);
void set_up_empty(void);
void set_up_no_queue(void);
void tear_down(void);

runt_order_t small_order(uint64_t serial);

/** Claim, and submit small_order(++orders). */
void submit(ephpm_job_t *to);

/** Let runner 0 begin with `job`. */
void begin(void);

/** Expect small_order(orders) of `job`, and read. */
ephpm_read_t read_job(void);

/** The end that small_order(orders) has. */
ephpm_job_end_t its_end(void);

/** Slots that are not free. */
unsigned in_use(void);

uint64_t counted(ephpm_count_t count);

/** A case of these tests with a fixture, or NULL. */
void with_tests(Suite *suite, const char *name, void (*before)(void),
                const TTest *const *tests, size_t count);

#define WITH(suite, name, before, ...)                                       \
    with_tests(suite, name, before, (const TTest *const[]){ __VA_ARGS__ },   \
               sizeof((const TTest *const[]){ __VA_ARGS__ }) /               \
                   sizeof(const TTest *))

#endif
