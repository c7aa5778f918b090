/* The program: everything about its arguments is decided in lua/lunette/cli. */
#include "bind/program.h"

int main(int argc, char **argv) {
  return ln_program_run(argc, argv);
}
