/* step_trace.c - see step_trace.h.
 *
 * A step costs two switches of process and, in a virtual machine, an exit to
 * the hypervisor: 40 us where an instruction takes none.  So the N-th
 * instruction is not reached by N steps.  The trace tells which instructions
 * shortly before it are executed for the first time (or the k-th): a break
 * point is put there, and only the rest is stepped.  A string instruction,
 * which stops after each byte it has moved, is made to move as many bytes as
 * are wanted by way of its counter.
 */

#include "step_trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

bool trace_me(void)
{
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        return false;
    }
    raise(SIGSTOP);
    return true;
}

bool trace_wait(pid_t pid)
{
    int status;
    pid_t got;

    do {
        got = waitpid(pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    return got == pid && WIFSTOPPED(status);
}

bool trace_allowed(void)
{
    pid_t pid = rig_fork();
    if (pid == 0) {
        _exit(trace_me() ? 0 : 1);
    }
    bool allowed = trace_wait(pid);
    if (allowed) {
        allowed = trace_step(pid);
        rig_kill(pid);
    }
    return allowed;
}

static bool go(pid_t pid, int how)
{
    return ptrace((enum __ptrace_request)how, pid, NULL, NULL) == 0 &&
           trace_wait(pid);
}

bool trace_step(pid_t pid)
{
    return go(pid, PTRACE_SINGLESTEP);
}

void trace_let_go(pid_t pid)
{
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

#if defined(__x86_64__)

#define BREAK_BYTE 0xccu
#define RUN_MIN 8u

static uint64_t pointer(pid_t pid)
{
    return (uint64_t)ptrace(PTRACE_PEEKUSER, pid,
                            offsetof(struct user, regs.rip), NULL);
}

void trace_note(trace_t *trace, pid_t pid)
{
    if (trace->steps == trace->room) {
        trace->room = trace->room ? trace->room * 2 : 4096;
        trace->at = realloc(trace->at, trace->room * sizeof(*trace->at));
        trace->times =
            realloc(trace->times, trace->room * sizeof(*trace->times));
        trace->stops =
            realloc(trace->stops, trace->room * sizeof(*trace->stops));
        trace->run_end =
            realloc(trace->run_end, trace->room * sizeof(*trace->run_end));
        if (trace->at == NULL || trace->times == NULL ||
            trace->stops == NULL || trace->run_end == NULL) {
            rig_die("out of memory");
        }
    }
    trace->at[trace->steps++] = pointer(pid);
}

void trace_finish(trace_t *trace)
{
    enum { PLACES = 1 << 18 };
    static struct { uint64_t at; uint32_t times; } place[PLACES];

    memset(place, 0, sizeof(place));
    for (uint32_t i = 0; i < trace->steps; i++) {
        uint32_t slot = (uint32_t)rig_mix(trace->at[i]) % PLACES;
        while (place[slot].at != 0 && place[slot].at != trace->at[i]) {
            slot = (slot + 1) % PLACES;
        }
        place[slot].at = trace->at[i];
        trace->times[i] = place[slot].times++;
    }
    uint32_t stops = 0;
    for (uint32_t i = 0; i < trace->steps;) {
        uint32_t end = i + 1;
        while (end < trace->steps && trace->at[end] == trace->at[i]) {
            end++;
        }
        bool run = end - i >= RUN_MIN && end < trace->steps;
        for (uint32_t j = i; j < end; j++) {
            trace->run_end[j] = run ? end : 0;
            trace->stops[j] = stops + (!run ? j - i : j == i ? 0 : 2);
        }
        stops += run ? 2 : end - i;
        i = end;
    }
    trace->complete = true;
}

/* Let it run until it is at `at`, where it is not now. */
static bool run_to(pid_t pid, uint64_t at)
{
    void *address = (void *)(uintptr_t)at;
    errno = 0;
    long word = ptrace(PTRACE_PEEKTEXT, pid, address, NULL);
    long broken = (long)(((unsigned long)word & ~0xffUL) | BREAK_BYTE);

    if (errno != 0 ||
        ptrace(PTRACE_POKETEXT, pid, address, (void *)broken) != 0 ||
        !go(pid, PTRACE_CONT)) {
        return false;
    }
    ptrace(PTRACE_POKETEXT, pid, address, (void *)word);
    if (pointer(pid) != at + 1) {
        return false;
    }
    return ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, regs.rip),
                  address) == 0;
}

static uint32_t best_before(const trace_t *trace, uint32_t n,
                            uint64_t *cost_at)
{
    uint32_t best = 0;
    uint64_t best_cost = trace->stops[n];
    for (uint32_t m = n; m > 0 && trace->stops[n] - trace->stops[m] < best_cost;
         m--) {
        uint64_t cost = (uint64_t)trace->times[m] * 2 + 1 +
                        (trace->stops[n] - trace->stops[m]);
        if (cost < best_cost) {
            best_cost = cost;
            best = m;
        }
    }
    *cost_at = best_cost;
    return best;
}

uint32_t trace_cost(const trace_t *trace, uint32_t n)
{
    uint64_t cost;
    best_before(trace, n, &cost);
    return (uint32_t)cost;
}

/* Is it "rep movs" or "rep stos"? */
static bool moves_string(pid_t pid, uint64_t at)
{
    long word = ptrace(PTRACE_PEEKTEXT, pid, (void *)(uintptr_t)at, NULL);
    unsigned code = (unsigned)word & 0xffffff;

    if ((code & 0xff) != 0xf3) {
        return false;
    }
    code >>= 8;
    if ((code & 0xff) == 0x48) {
        code >>= 8;
    }
    code &= 0xff;
    return code == 0xa4 || code == 0xa5 || code == 0xaa || code == 0xab;
}

/* `count` turns of the string instruction that the victim is at; behind it
 * the victim gets to `behind`. */
static bool move_string(pid_t pid, uint64_t count, bool all, uint64_t behind)
{
    struct user_regs_struct regs;

    if (all) {
        return run_to(pid, behind);
    }
    if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) != 0) {
        return false;
    }
    uint64_t at = regs.rip;
    uint64_t left = regs.rcx - count;
    regs.rcx = count;
    if (ptrace(PTRACE_SETREGS, pid, NULL, &regs) != 0 ||
        !run_to(pid, behind) ||
        ptrace(PTRACE_GETREGS, pid, NULL, &regs) != 0) {
        return false;
    }
    regs.rip = at;
    regs.rcx = left;
    return ptrace(PTRACE_SETREGS, pid, NULL, &regs) == 0;
}

static bool by_breaks(const trace_t *trace, pid_t pid, uint32_t n)
{
    uint64_t cost;
    uint32_t near = best_before(trace, n, &cost);

    if (!run_to(pid, trace->at[0])) {
        return false;
    }
    for (uint32_t i = 0; near != 0 && i <= trace->times[near]; i++) {
        if (i > 0 && !trace_step(pid)) {
            return false;
        }
        if (pointer(pid) != trace->at[near] &&
            !run_to(pid, trace->at[near])) {
            return false;
        }
    }
    for (uint32_t i = near; i < n;) {
        uint32_t end = trace->run_end[i];
        if (end != 0 && n - i > 2 && moves_string(pid, trace->at[i])) {
            uint32_t to = n < end ? n : end;
            if (!move_string(pid, to - i, to == end, trace->at[end])) {
                return false;
            }
            i = to;
        } else {
            if (!trace_step(pid)) {
                return false;
            }
            i++;
        }
    }
    return pointer(pid) == trace->at[n];
}

#else

void trace_note(trace_t *trace, pid_t pid)
{
    (void)pid;
    trace->steps++;
}

void trace_finish(trace_t *trace)
{
    (void)trace;
}

uint32_t trace_cost(const trace_t *trace, uint32_t n)
{
    (void)trace;
    return n;
}

static bool by_breaks(const trace_t *trace, pid_t pid, uint32_t n)
{
    (void)trace;
    (void)pid;
    (void)n;
    return false;
}

#endif

bool trace_goto(const trace_t *trace, pid_t pid, const control_t *control,
                uint32_t n)
{
    if (trace->complete) {
        return by_breaks(trace, pid, n);
    }
    while (control->phase == 0) {
        if (!trace_step(pid)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!trace_step(pid)) {
            return false;
        }
    }
    return true;
}
