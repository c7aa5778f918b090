/* The command line, from argv to the exit code. */
#ifndef LN_BIND_PROGRAM_H
#define LN_BIND_PROGRAM_H

/* Runs the command line on argv (argv[0] is the program) in a Lua state of its own. Returns the
 * exit code. */
int ln_program_run(int argc, char **argv);

#endif
