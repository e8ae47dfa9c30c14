# Side-by-side benchmarks: ./dev bench builds bench-programs and runs one.

check_PROGRAMS += bench/kv-hits
bench_kv_hits_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/kvcore
bench_kv_hits_SOURCES = bench/kv-hits.c
bench_kv_hits_LDADD = kvcore/libkvcore.la -lm

dist_check_SCRIPTS += t/bench.t t/bench-adapter.t t/bench-http.t
TESTS += t/bench.t
if HAVE_APACHE
TESTS += t/bench-adapter.t t/bench-http.t
endif

bench-programs: bench/kv-hits t/resp/resp_serve
.PHONY: bench-programs

EXTRA_DIST += \
	bench/http \
	bench/kv \
	bench/lib/Apcu.php \
	bench/lib/ApcuOverhead.php \
	bench/lib/Backend.php \
	bench/lib/Bars.php \
	bench/lib/BenchError.php \
	bench/lib/Floor.php \
	bench/lib/Fork.php \
	bench/lib/Fpm.php \
	bench/lib/FullStore.php \
	bench/lib/Hits.php \
	bench/lib/HttpAnswer.php \
	bench/lib/HttpCase.php \
	bench/lib/HttpPair.php \
	bench/lib/HttpServer.php \
	bench/lib/HttpSites.php \
	bench/lib/Httpd.php \
	bench/lib/Keys.php \
	bench/lib/ManyKeys.php \
	bench/lib/Nginx.php \
	bench/lib/OneProcess.php \
	bench/lib/Options.php \
	bench/lib/Ours.php \
	bench/lib/PhpProcess.php \
	bench/lib/PhpRedis.php \
	bench/lib/RedisServer.php \
	bench/lib/RespCase.php \
	bench/lib/RespTarget.php \
	bench/lib/Rounds.php \
	bench/lib/Row.php \
	bench/lib/Service.php \
	bench/lib/Settings.php \
	bench/lib/Slice.php \
	bench/lib/Statistics.php \
	bench/lib/Table.php \
	bench/lib/TwoProcesses.php \
	bench/lib/Wrk.php \
	bench/lib/group.php \
	bench/lib/http.lua \
	bench/lib/http.php \
	bench/lib/load.php \
	bench/lib/main.php \
	bench/lib/nitro.php \
	bench/lib/resp.php \
	bench/lib/symfony.php \
	bench/nitro \
	bench/resp \
	bench/pages/hello.php \
	bench/pages/page-1m.php \
	bench/pages/post-1m.php \
	bench/symfony \
	bench/symfony-page/Kernel.php \
	bench/symfony-page/Page.php \
	bench/symfony-page/adapters.php \
	bench/symfony-page/index.php \
	bench/symfony-page/warm.php
