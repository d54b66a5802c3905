/* What the programs about mounts share. */
#pragma once
#include "show.h"

/* How /proc/self/mountinfo shows a mount point below the working directory. */
static inline void shown(const char *point) {
    char line[1024], path[256];
    FILE *f = fopen("/proc/self/mountinfo", "r");
    getcwd(path, sizeof path), strcat(path, "/"), strcat(path, point);
    int found = 0;
    while (fgets(line, sizeof line, f)) {
        char at[256], root[256], options[256];
        if (sscanf(line, "%*d %*d %*s %255s %255s %255s", root, at, options) == 3 && !strcmp(at, path)) {
            char *type = strstr(line, " - ");
            type = type ? strtok(type + 3, " ") : "?";
            SHOW("  %s %s %s %s\n", point, strcmp(root, "/") ? "sub" : "/", options, type), found = 1;
        }
    }
    if (!found) SHOW("  %s none\n", point);
    fclose(f);
}

/* An empty file. */
static inline void put(const char *name) {
    close(open(name, O_CREAT | O_WRONLY, 0644));
}
