# What kills, stops and single-steps processes that use a store.

CRASH_NAMES = \
	t/crash/deaths \
	t/crash/linear \
	t/crash/step \
	t/crash/storm

check_PROGRAMS += $(CRASH_NAMES)

crash-programs: $(CRASH_NAMES)
.PHONY: crash-programs

CRASH_CPPFLAGS = $(AM_CPPFLAGS) -D_GNU_SOURCE -I$(top_srcdir)/kvcore
CRASH_CFLAGS = $(AM_CFLAGS) $(XXHASH_CFLAGS)
CRASH_RIG = t/crash/rig.c t/crash/rig.h

t_crash_deaths_CPPFLAGS = $(CRASH_CPPFLAGS)
t_crash_deaths_CFLAGS = $(CRASH_CFLAGS)
t_crash_deaths_LDADD = kvcore/libkvcore.la
t_crash_deaths_SOURCES = $(CRASH_RIG) t/crash/deaths.c

t_crash_linear_CPPFLAGS = $(CRASH_CPPFLAGS)
t_crash_linear_CFLAGS = $(CRASH_CFLAGS)
t_crash_linear_LDADD = kvcore/libkvcore.la
t_crash_linear_SOURCES = $(CRASH_RIG) \
	t/crash/linear.c \
	t/crash/linear_check.c \
	t/crash/linear_check.h

t_crash_step_CPPFLAGS = $(CRASH_CPPFLAGS)
t_crash_step_CFLAGS = $(CRASH_CFLAGS)
t_crash_step_LDADD = kvcore/libkvcore.la
t_crash_step_SOURCES = $(CRASH_RIG) \
	t/crash/step.c \
	t/crash/step.h \
	t/crash/step_cases.c \
	t/crash/step_full.c \
	t/crash/step_grow.c \
	t/crash/step_trace.c \
	t/crash/step_trace.h \
	t/crash/step_view.c

t_crash_storm_CPPFLAGS = $(CRASH_CPPFLAGS)
t_crash_storm_CFLAGS = $(CRASH_CFLAGS)
t_crash_storm_LDADD = kvcore/libkvcore.la
t_crash_storm_SOURCES = $(CRASH_RIG) \
	t/crash/storm.c \
	t/crash/storm.h \
	t/crash/storm_more.c \
	t/crash/storm_ops.c

CRASH_TESTS = \
	t/crash/linear.t \
	t/crash/step-1.t \
	t/crash/step-2.t \
	t/crash/step-3.t \
	t/crash/storm-evict.t \
	t/crash/storm-full.t \
	t/crash/storm-roomy.t

dist_check_SCRIPTS += $(CRASH_TESTS) t/crash/bailout.t
TESTS += $(CRASH_TESTS) t/crash/deaths t/crash/bailout.t
# ThreadSanitizer sees one process only; most of an instruction's steps under
# AddressSanitizer are its own.
if !THREAD_SANITIZER
STORE_TESTS += \
	t/crash/deaths \
	t/crash/linear.t \
	t/crash/storm-evict.t \
	t/crash/storm-full.t \
	t/crash/storm-roomy.t
endif
# The long form.
EXTRA_DIST += t/crash/torture
