/* step.h - each thing that a submitter, a runner or a spawner does to the job
 * table, broken off after every instruction.
 *
 * A case is a table, and one thing that a process, the victim, does to it.
 * The victim is stepped, one instruction at a time; after each that has
 * changed the table a copy is made in which it counts as dead.  The
 * invariants must hold there as it stands.  Then the others, who live on, do
 * what the design says, once by way of the spawner and once by way of the
 * dead one's successor: all jobs come to their end, new ones are served,
 * every byte is its job's, and nothing is left.
 *
 * The others are played by the rig: a view of the table for each.
 */

#ifndef STEP_H
#define STEP_H

#include "rig.h"
#include "runt.h"

enum { RUNNERS = 2, SUBMITTERS = 2, QUEUE = 2, ASKED = 4 };

typedef enum role { SUBMITTER, RUNNER, SPAWNER } role_t;

/* A job of the rig's submitter 1. */
typedef struct asked {
    bool there;
    ephpm_job_t job;
    runt_heard_t heard;
} asked_t;

/* Who is on the stage.  Submitter 0, runner 0 or the spawner is the victim's
 * part, or a dead one's; the rig plays the others. */
typedef struct cast {
    ephpm_jobs_t *submitter[SUBMITTERS];
    ephpm_jobs_t *runner[RUNNERS];
    ephpm_jobs_t *spawner;
    asked_t asked[ASKED];
    bool has_task;              /* runner 1 */
    ephpm_task_t task;
    uint32_t orders;
} cast_t;

/* What the victim has. */
typedef struct victim {
    ephpm_jobs_t *view;
    ephpm_job_t job;
    runt_heard_t heard;
    ephpm_task_t task;
    runt_order_t order;
} victim_t;

typedef struct step_case {
    const char *name;
    role_t role;
    void (*prepare)(cast_t *cast);      /* by the rig; NULL: nothing */
    void (*begin)(victim_t *victim);    /* not stepped yet */
    void (*amid)(cast_t *cast);         /* by the rig again, after that */
    void (*run)(victim_t *victim);
    bool dead_submitter;                /* prepare() has left one at 0, */
    bool dead_runner;
} step_case_t;

extern const step_case_t step_cases[];
extern const size_t step_cases_count;

/** A small order. */
runt_order_t step_order(uint32_t serial);

/** Let submitter 1 submit a job. */
void cast_ask(cast_t *cast);

#endif
