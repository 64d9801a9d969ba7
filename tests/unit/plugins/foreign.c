/* SPDX-License-Identifier: Apache-2.0 */
const int not_a_backend = 1;
