/* ephpm_event.h - waking a process that waits in poll() or the like; the part
 * that is Linux's own is eventfd.
 */

#ifndef EPHPM_EVENT_H
#define EPHPM_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/eventfd.h>
#else
#include <fcntl.h>
#endif

/** An event, inherited over forks.  Readable from raise to clear. */
typedef struct ephpm_event {
    int read_fd;                /* -1: none */
    int write_fd;
} ephpm_event_t;

/** Make one: neither end blocks, and exec() closes both.
 * @return false: errno says why */
static inline bool ephpm_event_make(ephpm_event_t *event)
{
#ifdef __linux__
    event->read_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    event->write_fd = event->read_fd;
    return event->read_fd >= 0;
#else
    int ends[2];
    if (pipe(ends) != 0) {
        event->read_fd = event->write_fd = -1;
        return false;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFL, O_NONBLOCK);
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    }
    event->read_fd = ends[0];
    event->write_fd = ends[1];
    return true;
#endif
}

/** Make it readable. */
static inline void ephpm_event_raise(const ephpm_event_t *event)
{
    uint64_t one = 1;
    /* It fails when very much is unread, so it is readable anyway. */
    ssize_t ignored = write(event->write_fd, &one, sizeof(one));
    (void)ignored;
}

/** Make it unreadable until it is raised again. */
static inline void ephpm_event_clear(const ephpm_event_t *event)
{
    uint64_t sum;
    ssize_t bytes;
    do {
        bytes = read(event->read_fd, &sum, sizeof(sum));
#ifdef __linux__
        bytes = 0;
#endif
    } while (bytes > 0);
}

static inline void ephpm_event_close(ephpm_event_t *event)
{
    if (event->read_fd >= 0) {
        close(event->read_fd);
        if (event->write_fd != event->read_fd) {
            close(event->write_fd);
        }
    }
    event->read_fd = event->write_fd = -1;
}

#endif
