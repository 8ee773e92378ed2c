/* SPDX-License-Identifier: Apache-2.0 */
/* A shared library that is no stage library. */
int unrelated(void);
int unrelated(void) { return 0; }
