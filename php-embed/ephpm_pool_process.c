/* ephpm_pool_process.c - what the pool's processes are to the system:
 * signals, name, core. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE     /* environ, program_invocation_name */
#endif

#include "ephpm_pool_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* ------------------------------------------------------------------ */
/* Signals                                                             */

void ephpm_process_signals(void)
{
    for (int number = 1; number < NSIG; number++) {
        if (number != SIGKILL && number != SIGSTOP) {
            signal(number, SIG_DFL);
        }
    }
    /* A client or a child that has gone is no reason to die. */
    signal(SIGPIPE, SIG_IGN);
}

void ephpm_process_unblock(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

void ephpm_process_hear_nothing(int number)
{
    (void)number;
}

void ephpm_process_deaf(void)
{
    static const int numbers[] = { SIGHUP, SIGINT, SIGUSR1, SIGUSR2 };
    struct sigaction action = { .sa_handler = ephpm_process_hear_nothing,
                                .sa_flags = SA_RESTART };

    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        sigaction(numbers[i], &action, NULL);
    }
}

const char *ephpm_signal_name(int number, char *buffer, size_t room)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        { SIGABRT, "SIGABRT" }, { SIGALRM, "SIGALRM" }, { SIGBUS, "SIGBUS" },
        { SIGFPE, "SIGFPE" }, { SIGHUP, "SIGHUP" }, { SIGILL, "SIGILL" },
        { SIGINT, "SIGINT" }, { SIGKILL, "SIGKILL" }, { SIGPIPE, "SIGPIPE" },
        { SIGPROF, "SIGPROF" }, { SIGQUIT, "SIGQUIT" },
        { SIGSEGV, "SIGSEGV" }, { SIGSYS, "SIGSYS" }, { SIGTERM, "SIGTERM" },
        { SIGTRAP, "SIGTRAP" }, { SIGUSR1, "SIGUSR1" },
        { SIGUSR2, "SIGUSR2" }, { SIGVTALRM, "SIGVTALRM" },
        { SIGXCPU, "SIGXCPU" }, { SIGXFSZ, "SIGXFSZ" },
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].number == number) {
            return names[i].name;
        }
    }
    snprintf(buffer, room, "signal %d", number);
    return buffer;
}

/* ------------------------------------------------------------------ */
/* Core and name                                                       */

void ephpm_process_private(void)
{
    prctl(PR_SET_DUMPABLE, 0);
}

/* From /proc/self/stat, where the kernel says where the command line and the
 * environment lie; the name in its second field may have anything in it. */
static bool find_areas(uintptr_t *begin, uintptr_t *end, uintptr_t *env_end)
{
    char line[2048], *at;
    unsigned long long value = 0;
    ssize_t length;
    int file = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);

    if (file < 0) {
        return false;
    }
    length = read(file, line, sizeof(line) - 1);
    close(file);
    if (length <= 0) {
        return false;
    }
    line[length] = '\0';
    at = strrchr(line, ')');
    /* After the name comes the third field. */
    for (int field = 3; at != NULL && field <= 51; field++) {
        at = strchr(at, ' ');
        if (at == NULL) {
            return false;
        }
        value = strtoull(++at, NULL, 10);
        switch (field) {
        case 48:
            *begin = (uintptr_t)value;
            break;
        case 49:
            *end = (uintptr_t)value;
            break;
        case 51:
            *env_end = (uintptr_t)value;
            break;
        default:
            break;
        }
    }
    return at != NULL && *begin != 0 && *begin < *end;
}

/* A server that sets titles itself has moved its environment elsewhere. */
static bool environment_moved(uintptr_t begin, uintptr_t end)
{
    for (char **variable = environ; variable != NULL && *variable != NULL;
         variable++) {
        if ((uintptr_t)*variable >= begin && (uintptr_t)*variable < end) {
            return false;
        }
    }
    return true;
}

void ephpm_process_title(const char *title, const char *name)
{
    uintptr_t begin = 0, end = 0, env_end = 0;
    size_t room, length;

    prctl(PR_SET_NAME, name);
    /* Under valgrind the kernel's command line is not the program's. */
    if (title == NULL || !find_areas(&begin, &end, &env_end)
        || (uintptr_t)program_invocation_name != begin) {
        return;
    }
    if (env_end > end && environment_moved(end, env_end)) {
        end = env_end;
    }
    room = (size_t)(end - begin);
    length = strlen(title);
    if (length > room - 1) {
        length = room - 1;
    }
    memset((void *)begin, 0, room);
    memcpy((void *)begin, title, length);
}

uint64_t ephpm_thread_cpu_us(void)
{
    struct timespec used;

    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used) != 0) {
        return 0;
    }
    return (uint64_t)used.tv_sec * 1000000u + (uint64_t)used.tv_nsec / 1000u;
}

/* ------------------------------------------------------------------ */
/* The log                                                             */

void ephpm_text_tidy(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < ' ' || *text == '\x7f') {
            *text = '?';
        }
    }
}

void ephpm_pool_log(const ephpm_pool_t *pool, int priority,
                    const char *format, ...)
{
    char message[EPHPM_LOG_LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    pool->log(priority, message);
}
