/* ephpm_sapi_process.c - what a script may do to the process, undone.
 *
 * Embed builds of PHP have the extension pcntl, which others for servers
 * have not.  A handler, a mask or an alarm that a script leaves behind would
 * be the server's: a child that no longer hears SIGTERM, or one that an alarm
 * ends in the middle of somebody else's request.  To look after each request
 * would cost every script a dozen system calls, so the functions themselves
 * are watched.
 */

#include "ephpm_sapi_private.h"

#include <signal.h>
#include <unistd.h>

static const int server_signals[] = {
    SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGUSR1, SIGUSR2, SIGPIPE, SIGALRM,
    SIGTERM, SIGCHLD, SIGCONT, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH,
    SIGIO, SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS, SIGXCPU, SIGXFSZ
};
#define SIGNALS (sizeof(server_signals) / sizeof(server_signals[0]))

static struct sigaction kept[SIGNALS];
static sigset_t kept_mask;
static bool touched;

static void keep(void)
{
    if (touched) {
        return;
    }
    touched = true;
    for (size_t i = 0; i < SIGNALS; i++) {
        sigaction(server_signals[i], NULL, &kept[i]);
    }
    sigprocmask(SIG_SETMASK, NULL, &kept_mask);
}

#define WATCH(name)                                                      \
    static zif_handler original_##name;                                  \
    static void watched_##name(INTERNAL_FUNCTION_PARAMETERS)             \
    {                                                                    \
        keep();                                                          \
        original_##name(INTERNAL_FUNCTION_PARAM_PASSTHRU);               \
    }

WATCH(pcntl_signal)
WATCH(pcntl_sigprocmask)
WATCH(pcntl_alarm)

static void watch(const char *name, zif_handler *original,
                  zif_handler watched)
{
    zend_function *function = zend_hash_str_find_ptr(CG(function_table), name,
                                                     strlen(name));

    if (function != NULL && function->type == ZEND_INTERNAL_FUNCTION) {
        *original = function->internal_function.handler;
        function->internal_function.handler = watched;
    }
}

void ephpm_process_watch(void)
{
    watch("pcntl_signal", &original_pcntl_signal, watched_pcntl_signal);
    watch("pcntl_sigprocmask", &original_pcntl_sigprocmask,
          watched_pcntl_sigprocmask);
    watch("pcntl_alarm", &original_pcntl_alarm, watched_pcntl_alarm);
}

void ephpm_process_restore(void)
{
    if (!touched) {
        return;
    }
    touched = false;
    alarm(0);
    for (size_t i = 0; i < SIGNALS; i++) {
        sigaction(server_signals[i], &kept[i], NULL);
    }
    sigprocmask(SIG_SETMASK, &kept_mask, NULL);
}
