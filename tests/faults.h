/* SPDX-License-Identifier: MIT */
/*
 * Makes the n-th allocation or system call that the library asks for fail, through the linker's
 * --wrap; see faults_wrapped in meson.build. Counts what the library has allocated.
 */
#ifndef DMABUF_TEST_FAULTS_H
#define DMABUF_TEST_FAULTS_H

#include <stdbool.h>

/* From now on the @step-th call in this process fails, counted from 1. */
void faults_arm(int step);

/* The @step-th kills this process instead. */
void faults_arm_death(int step);

/* No more. The name of the function that failed meanwhile, NULL if none did. */
const char *faults_disarm(void);

/* Allocations not freed. */
long faults_allocations(void);

#endif
