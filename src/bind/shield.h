/* Keeps stdin and stdout out of reach while a policy's code may run, so that neither what it writes
 * by whatever way (FFI, a program of os.execute) gets into the output, nor what it reads is taken
 * from the input. */
#ifndef LN_BIND_SHIELD_H
#define LN_BIND_SHIELD_H

/* The streams meanwhile, as descriptors that programs don't inherit; -1: not moved. */
struct ln_shield {
  int in, out;
};

/* From now on stdin is empty and stdout is stderr. What can't be moved (it is closed, or there are
 * no descriptors left) stays. */
struct ln_shield ln_shield_up(void);
/* Back to what they were. */
void ln_shield_down(const struct ln_shield *s);

#endif
