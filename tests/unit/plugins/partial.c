/* SPDX-License-Identifier: Apache-2.0 */
#define PLUGIN_RUN NULL
#include "tests/unit/plugins/plugin.h"
