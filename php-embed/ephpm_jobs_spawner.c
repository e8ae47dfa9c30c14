/* ephpm_jobs_spawner.c - the job table as its spawner uses it. */

#include "ephpm_jobs_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ */
/* Who lives                                                           */

bool ephpm_spawner_attach(ephpm_jobs_t *jobs)
{
    ephpm_jobs_mine(jobs);
    if (jobs->spawner || !ephpm_life_take(&spawner_life(jobs)->life,
                                          &jobs->spawner_incarnation)) {
        return false;
    }
    jobs->spawner = true;
    return true;
}

bool ephpm_spawner_lives(ephpm_jobs_t *jobs)
{
    return !kv_life_vacant(&spawner_life(jobs)->life);
}

bool ephpm_runner_lives(ephpm_jobs_t *jobs, unsigned index)
{
    return index < jobs->config.runners &&
           !kv_life_vacant(&runner_life(jobs, index)->life);
}

int64_t ephpm_runner_pid(const ephpm_jobs_t *jobs, unsigned index)
{
    return index < jobs->config.runners
               ? (int64_t)ld_rlx(&runner_life(jobs, index)->life.pid)
               : 0;
}

unsigned ephpm_submitters_living(ephpm_jobs_t *jobs)
{
    unsigned living = 0;

    for (uint32_t i = 0; i < jobs->config.submitters; i++) {
        living += !ephpm_jobs_submitter_dead(jobs, i);
    }
    return living;
}

/* ------------------------------------------------------------------ */
/* Jobs of runners                                                     */

static bool is_runners(uint64_t word, uint32_t runner)
{
    return (word & WORD_R) != 0 && word_runner(word) == runner;
}

static void describe(const ephpm_jobs_t *jobs, uint32_t index, uint64_t word,
                     ephpm_running_t *running)
{
    const slot_t *slot = &jobs->slot[index];

    running->slot = index;
    running->word = word;
    running->state = (ephpm_job_state_t)word_state(word);
    running->taken_us = ld_rlx(&slot->taken_us);
    kv_copy(running->script, slot->script, SCRIPT_BYTES);
    running->script[SCRIPT_BYTES - 1] = '\0';
}

bool ephpm_runner_task(const ephpm_jobs_t *jobs, unsigned index,
                       ephpm_running_t *running)
{
    for (uint32_t i = 0; i < jobs->slots; i++) {
        uint64_t word = ld_acq(&jobs->words[i]);
        if (is_runners(word, index)) {
            describe(jobs, i, word, running);
            kv_fence_acquire();
            /* Else another job's fields may be among them. */
            uint64_t now = ld_rlx(&jobs->words[i]);
            return word_same(word, now) && is_runners(now, index);
        }
    }
    return false;
}

bool ephpm_running_kill(ephpm_jobs_t *jobs, const ephpm_running_t *running)
{
    if (running->slot >= jobs->slots) {
        return false;
    }
    word_t *at = &jobs->words[running->slot];
    uint64_t word = atomic_load(at);
    do {
        if (!word_same(word, running->word) ||
            !is_runners(word, word_runner(running->word))) {
            return false;
        }
        if (word_state(word) == EPHPM_JOB_KILLED) {
            return true;
        }
        if (word_state(word) != EPHPM_JOB_RUNNING &&
            word_state(word) != EPHPM_JOB_ANSWERED &&
            word_state(word) != EPHPM_JOB_ENDING) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(
        at, &word, word_to(word, EPHPM_JOB_KILLED)));
    ephpm_count_add(jobs, EPHPM_COUNT_TIMEOUTS, 1);
    if ((word & WORD_S) != 0) {
        ephpm_jobs_notify(jobs, running->slot, word, true);
    }
    return true;
}

/* @return the word as it was before, 0: the job is not that runner's */
static uint64_t crash(ephpm_jobs_t *jobs, uint32_t index, uint32_t runner,
                      int signal_number)
{
    uint64_t word = atomic_load(&jobs->words[index]);
    uint64_t to;

    do {
        if (!is_runners(word, runner)) {
            return 0;
        }
        st_rlx(&jobs->slot[index].signal, (uint32_t)signal_number);
        to = word_state(word) == EPHPM_JOB_KILLED
                 ? word
                 : word_to(word, EPHPM_JOB_CRASHED);
        to = word_without(to, WORD_R);
    } while (!atomic_compare_exchange_weak(&jobs->words[index], &word, to));
    if (word_state(word) != EPHPM_JOB_KILLED) {
        ephpm_count_add(jobs, EPHPM_COUNT_CRASHES, 1);
    }
    if ((word & WORD_S) != 0) {
        ephpm_jobs_notify(jobs, index, word, true);
    }
    return word;
}

bool ephpm_jobs_crash(ephpm_jobs_t *jobs, uint32_t runner, int signal_number,
                      ephpm_running_t *running)
{
    bool had = false;

    for (uint32_t i = 0; i < jobs->slots; i++) {
        if (is_runners(ld_acq(&jobs->words[i]), runner)) {
            ephpm_running_t was;
            describe(jobs, i, 0, &was);
            was.word = crash(jobs, i, runner, signal_number);
            was.state = (ephpm_job_state_t)word_state(was.word);
            if (was.word != 0 && !had) {
                had = true;
                if (running != NULL) {
                    *running = was;
                }
            }
        }
    }
    return had;
}

static bool bury(ephpm_jobs_t *jobs, uint32_t index, int signal_number,
                 ephpm_running_t *running)
{
    bool rung =
        atomic_exchange(&jobs->bells[index], BELL_NOBODY) == BELL_AWAKE;
    bool had = ephpm_jobs_crash(jobs, index, signal_number, running);

    if (rung && !had) {
        /* Perhaps he was woken for a job and never came to take it. */
        ephpm_jobs_ring_one(jobs);
    }
    return had;
}

void ephpm_jobs_bury(ephpm_jobs_t *jobs, uint32_t index)
{
    kv_life_t *life = &runner_life(jobs, index)->life;

    if (kv_life_catch(life, ld_acq(&life->incarnation)) == KV_LIFE_CAUGHT) {
        bury(jobs, index, 0, NULL);
        kv_life_let_go(life);
    }
}

bool ephpm_runner_bury(ephpm_jobs_t *jobs, unsigned index, int signal_number,
                       ephpm_running_t *running)
{
    return index < jobs->config.runners &&
           bury(jobs, index, signal_number, running);
}

/* ------------------------------------------------------------------ */
/* Names of files                                                      */

#define NAME_FORMAT "ephpm-%016" PRIx64 "-%x-%" PRIx64 "-%x-%s"

void ephpm_file_name(char *name, uint64_t table, uint32_t submitter,
                     uint64_t incarnation, uint32_t ticket, const char *use)
{
    snprintf(name, EPHPM_FILE_NAME_BYTES, NAME_FORMAT, table, submitter,
             incarnation, ticket, use);
}

/* A number in hexadecimal and the '-' after it. */
static bool read_number(const char **at, uint64_t *number)
{
    const char *digits = *at;
    unsigned count = 0;

    for (*number = 0; count <= 16; count++) {
        char c = digits[count];
        if (c >= '0' && c <= '9') {
            *number = *number << 4 | (uint64_t)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            *number = *number << 4 | (uint64_t)(c - 'a' + 10);
        } else {
            break;
        }
    }
    *at = digits + count + 1;
    return count > 0 && count <= 16 && digits[count] == '-';
}

ephpm_file_left_t ephpm_file_left(ephpm_jobs_t *jobs, const char *name)
{
    static const char prefix[] = "ephpm-";
    uint64_t table;
    uint64_t submitter;
    uint64_t incarnation;
    uint64_t ticket;

    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0) {
        return EPHPM_FILE_NO_NAME;
    }
    name += sizeof(prefix) - 1;
    if (!read_number(&name, &table) || !read_number(&name, &submitter) ||
        !read_number(&name, &incarnation) || !read_number(&name, &ticket) ||
        submitter >= EPHPM_SUBMITTERS_MAX ||
        incarnation > KV_INCARNATION_MASK || ticket > UINT32_MAX ||
        name[strspn(name, "abcdefghijklmnopqrstuvwxyz")] != '\0' ||
        name[0] == '\0') {
        return EPHPM_FILE_NO_NAME;
    }
    if (table != jobs->table) {
        return EPHPM_FILE_ELSEWHERE;
    }
    if (submitter >= jobs->config.submitters) {
        return EPHPM_FILE_LEFT;
    }
    kv_life_t *life = &submitter_life(jobs, (uint32_t)submitter)->life;
    return kv_life_dead(life, incarnation) ? EPHPM_FILE_LEFT
                                           : EPHPM_FILE_IN_USE;
}
