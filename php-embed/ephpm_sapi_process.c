/* ephpm_sapi_process.c - what a script may do to the process, undone.
 *
 * Embed builds of PHP have the extension pcntl, which others for servers
 * have not.  A handler, a mask or an alarm that a script leaves behind would
 * be the server's: a child that no longer hears SIGTERM, or one that an alarm
 * ends in the middle of somebody else's request.  To look after each request
 * would cost every script a dozen system calls, so the functions themselves
 * are watched.  So is chdir().
 *
 * A script runs in its own folder, and its shutdown functions and destructors
 * in the server's, as PHP itself has it; but PHP asks for the name of the
 * latter each time, to find it again.
 */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE     /* O_PATH */
#endif

#include "ephpm_sapi_private.h"

#include <SAPI.h>

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <syslog.h>
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

static int start_folder = -1;
static bool moved;              /* it is elsewhere, or may be */

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

static void note_move(void)
{
    moved = true;
}

#define WATCH(name, before)                                              \
    static zif_handler original_##name;                                  \
    static void watched_##name(INTERNAL_FUNCTION_PARAMETERS)             \
    {                                                                    \
        before();                                                        \
        original_##name(INTERNAL_FUNCTION_PARAM_PASSTHRU);               \
    }

WATCH(pcntl_signal, keep)
WATCH(pcntl_sigprocmask, keep)
WATCH(pcntl_alarm, keep)
WATCH(chdir, note_move)

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

static zend_result watch_all(void)
{
    watch("pcntl_signal", &original_pcntl_signal, watched_pcntl_signal);
    watch("pcntl_sigprocmask", &original_pcntl_sigprocmask,
          watched_pcntl_sigprocmask);
    watch("pcntl_alarm", &original_pcntl_alarm, watched_pcntl_alarm);
    watch("chdir", &original_chdir, watched_chdir);
    return SUCCESS;
}

void ephpm_process_watch(void)
{
    /* opcache puts its own in front, calls this one first, and then loads and
     * compiles what is preloaded. */
    zend_post_startup_cb = watch_all;
}

void ephpm_sapi_child(void)
{
    start_folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void ephpm_process_leave_script(void)
{
    if (!moved) {
        return;
    }
    moved = false;
    if (start_folder >= 0 && fchdir(start_folder) != 0) {
        ephpm_server->log(NULL, LOG_WARNING,
                          "cannot go back to the server's directory");
    }
}

#ifdef ZTS

/* PHP keeps a folder for each thread, and never changes the process's. */
void ephpm_process_enter(const char *script)
{
    (void)script;
}

#else

void ephpm_process_enter(const char *script)
{
    const char *slash = strrchr(script, '/');
    size_t length = slash ? (size_t)(slash - script) : 0;
    char folder[PATH_MAX];

    if (start_folder < 0 || slash == NULL || length >= sizeof(folder)) {
        SG(options) &= ~SAPI_OPTION_NO_CHDIR;
        return;
    }
    SG(options) |= SAPI_OPTION_NO_CHDIR;
    memcpy(folder, script, length);
    folder[length] = '\0';
    /* Where it cannot, it runs where it is, as ever. */
    moved = chdir(length > 0 ? folder : "/") == 0;
}

#endif

void ephpm_process_restore(void)
{
    ephpm_process_leave_script();
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
