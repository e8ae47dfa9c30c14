/* step_trace.h - a process that is stepped, and brought to its N-th step. */

#ifndef STEP_TRACE_H
#define STEP_TRACE_H

#include "rig.h"

/* What victim and rig share beside the store. */
typedef struct control {
    _Atomic uint32_t phase;    /* 1: in the operation, 2: after it */
    _Atomic int32_t result;
} control_t;

/* Where the instruction pointer was after each step in phase 1. */
typedef struct trace {
    uint64_t *at;
    uint32_t *times;     /* how often it had been there before */
    uint32_t *stops;     /* about what it takes to step there from 0 */
    uint32_t *run_end;   /* in a run of steps at one place, its end; or 0 */
    uint32_t steps;
    uint32_t room;
    bool complete;       /* false: the machine has no such pointer here */
} trace_t;

/** In the victim: let the parent trace it, and stop. @return false: denied */
bool trace_me(void);

/** Is ptrace allowed here? */
bool trace_allowed(void);

/** Wait for the victim's stop. @return false: it has ended */
bool trace_wait(pid_t pid);

/** One instruction. @return false: the victim has ended */
bool trace_step(pid_t pid);

/** Let a stopped victim run to its end. */
void trace_let_go(pid_t pid);

/** Note where the victim is, as the next step of the trace. */
void trace_note(trace_t *trace, pid_t pid);

/** The trace is whole: count. */
void trace_finish(trace_t *trace);

/** About how many stops of the victim trace_goto() takes. */
uint32_t trace_cost(const trace_t *trace, uint32_t n);

/**
 * Bring a victim that has stopped before phase 1 to its step `n`: by break
 * points to a place near it, then by steps.
 *
 * @return false: it went another way than the trace, and has ended
 */
bool trace_goto(const trace_t *trace, pid_t pid, const control_t *control,
                uint32_t n);

#endif
