/* bench_load: the load's command line. Every command prints one line, and ends with 1 when
 * anything at all went wrong.
 *
 *   http     calls echo over HTTP, from --width connections with a session each
 *   stdio    the same over the pipes of a command, with --width calls in flight
 *   hold     opens --width sessions and holds them until stdin ends
 *   ready    waits until a session can be opened
 *   exits    how long a command takes from start to end
 *   answers  how long it takes from start to its answer to initialize over stdio
 *   port     a port of 127.0.0.1 that is free now */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const char usage[] =
    "usage: bench_load http --url URL [--width N] [--seconds S] [--warmup S] [--calls N]\n"
    "                  [--pid PID]... [--text TEXT] [--expect TEXT]\n"
    "       bench_load stdio [--width N] [--seconds S] [--warmup S] [--calls N]\n"
    "                  [--text TEXT] [--expect TEXT] -- COMMAND ARGS...\n"
    "       bench_load hold --url URL [--width N]\n"
    "       bench_load ready --url URL [--seconds S]\n"
    "       bench_load exits|answers [--times N] -- COMMAND ARGS...\n"
    "       bench_load port\n"
    "Times are in seconds; --calls N asks N times instead (with --width 1 that is exact). TEXT "
    "must\n"
    "need no escape in JSON.\n";

static double seconds_of(const char *s) {
  char *end;
  double value = strtod(s, &end);
  if (end == s || *end != '\0' || !(value >= 0 && value <= 3600))
    bench_die("seconds are wanted, not \"%s\"", s);
  return value;
}

static void add_pid(struct bench_load *load, const char *s) {
  if (load->n_pids == BENCH_PIDS) bench_die("more than %d processes", BENCH_PIDS);
  load->pids[load->n_pids++] = (pid_t)bench_number(s, 1, 1 << 30);
}

/* False for a wrong option. */
static bool read_options(int argc, char **argv, struct bench_load *load, unsigned *times) {
  static const struct option options[] = {
      {"url", required_argument, NULL, 'u'},     {"width", required_argument, NULL, 'w'},
      {"seconds", required_argument, NULL, 's'}, {"warmup", required_argument, NULL, 'r'},
      {"calls", required_argument, NULL, 'c'},   {"pid", required_argument, NULL, 'p'},
      {"text", required_argument, NULL, 't'},    {"expect", required_argument, NULL, 'e'},
      {"times", required_argument, NULL, 'n'},   {NULL, 0, NULL, 0}};
  int option;
  while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
    switch (option) {
      case 'u': load->url = optarg; break;
      case 'w': load->width = (unsigned)bench_number(optarg, 1, 10000); break;
      case 's': load->seconds = seconds_of(optarg); break;
      case 'r': load->warmup = seconds_of(optarg); break;
      case 'c': load->calls = (uint32_t)bench_number(optarg, 1, 1000000000); break;
      case 'p': add_pid(load, optarg); break;
      case 't': load->text = optarg; break;
      case 'e': load->expect = optarg; break;
      case 'n': *times = (unsigned)bench_number(optarg, 1, 1000); break;
      default: return false;
    }
  }
  if (optind < argc) load->command = argv + optind;
  return true;
}

static int print_port(void) {
  unsigned port;
  bench_listen(0, &port);
  printf("%u\n", port);
  return 0;
}

int main(int argc, char **argv) {
  struct bench_load load = {.width = 1, .seconds = 2, .warmup = 0.3, .text = "as the client wrote"};
  unsigned times = 20;
  const char *what = argc > 1 ? argv[1] : "";
  if (strcmp(what, "--help") == 0) return fputs(usage, stdout) < 0;
  if (argc < 2 || !read_options(argc - 1, argv + 1, &load, &times)) {
    fputs(usage, stderr);
    return 2;
  }
  if (load.expect == NULL) load.expect = load.text;
  if (load.calls > 0) load.warmup = 0;
  if (load.url != NULL && load.command == NULL) {
    if (strcmp(what, "http") == 0) return bench_load_http(&load);
    if (strcmp(what, "hold") == 0) return bench_hold(load.url, load.width);
    if (strcmp(what, "ready") == 0) return bench_ready(load.url, (unsigned)(load.seconds * 1000));
  } else if (load.url == NULL && load.command != NULL) {
    if (strcmp(what, "stdio") == 0) return bench_load_stdio(&load);
    if (strcmp(what, "exits") == 0) return bench_exits(load.command, times);
    if (strcmp(what, "answers") == 0) return bench_answers(load.command, times);
  } else if (strcmp(what, "port") == 0) {
    return print_port();
  }
  fputs(usage, stderr);
  return 2;
}
