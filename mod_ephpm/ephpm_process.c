/* ephpm_process.c - processes that the parent forks and that are none of
 * httpd's children: the spawner of runners, the helper of EphpmResp.
 */

#include "mod_ephpm.h"

#include <mpm_common.h>
#include <scoreboard.h>

#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static void reset_signals(void)
{
    sigset_t none;

    for (int number = 1; number < NSIG; number++) {
        signal(number, SIG_DFL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The socket of syslog() or of the journal: libraries know it by its number,
 * and would write to whatever has the number next. */
static bool is_log_socket(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof(address);
    int type = 0;
    socklen_t type_length = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_length) == 0
           && type == SOCK_DGRAM
           && getsockname(fd, (struct sockaddr *)&address, &length) == 0
           && address.ss_family == AF_UNIX;
}

static bool is_among(int fd, const int *kept, int count)
{
    for (int i = 0; i < count; i++) {
        if (kept[i] == fd) {
            return true;
        }
    }
    return false;
}

/* Listeners, pipes to httpd's children and loggers, log files.  The main error
 * log is standard error. */
static void close_descriptors(const int *kept, int count)
{
    int last = (int)sysconf(_SC_OPEN_MAX);
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;
    int highest = 2;

    if (folder == NULL) {
        highest = last < 65536 ? last : 65536;
    } else {
        while ((entry = readdir(folder)) != NULL) {
            int fd = atoi(entry->d_name);

            highest = fd > highest ? fd : highest;
        }
        closedir(folder);
    }
    for (int fd = 3; fd <= highest; fd++) {
        if (!is_among(fd, kept, count) && !is_log_socket(fd)) {
            close(fd);
        }
    }
}

/* httpd's parent, which is root, believes what is in the scoreboard; where
 * this is a later cycle its memory has come along. */
static void unmap_scoreboard(void)
{
    const apr_uintptr_t page = (apr_uintptr_t)sysconf(_SC_PAGESIZE);
    apr_uintptr_t begin, end;

    if (!ap_exists_scoreboard_image()) {
        return;
    }
    begin = (apr_uintptr_t)ap_get_scoreboard_global();
    end = begin + (apr_uintptr_t)ap_calc_scoreboard_size();
    begin -= begin % page;
    munmap((void *)begin, end - begin);
}

bool ephpm_process_leave(apr_pool_t *pconf, server_rec *server,
                         const int *kept, int count)
{
    apr_pool_t *own;

    reset_signals();
    /* What the terminal says to httpd (Ctrl-C, a new size) is httpd's. */
    setsid();
    close_descriptors(kept, count);
    unmap_scoreboard();
    apr_pool_create(&own, pconf);
    return ap_run_drop_privileges(own, server) == OK;
}
