#!/bin/sh
# What the tests need of the system: Chromium, Java 17 or newer, a font with Chinese characters.
set -eu
. "$(dirname "$0")/system.sh"

has_chromium() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
} >/dev/null

has_java() {
    java -version 2>&1 | awk -F '[".]' '/version/ { enough = $2 >= 17; exit } END { exit !enough }'
}

has_cjk_font() {
    ls /usr/share/fonts/opentype/noto/NotoSansCJK* /System/Library/Fonts/PingFang* 2>/dev/null | grep -q .
}

java_package() { # Debian 13 no longer has 17
    apt-cache show openjdk-17-jre-headless >/dev/null 2>&1 && echo openjdk-17-jre-headless || echo default-jre-headless
}

want() { # want CHECK DEBIAN_PACKAGE WHAT_IS_SKIPPED
    if "$1"; then
        return
    elif can_install; then
        apt_install "$2"
    else
        say "$3 not run: $2 is missing (Debian: sudo apt-get install $2)"
    fi
}

if can_install && ! { has_chromium && has_java && has_cjk_font; }; then
    apt-get update -qq
    apt_updated=yes
fi
want has_chromium chromium "browser tests are"
want has_java "$(java_package)" "Spark tests are"
want has_cjk_font fonts-noto-cjk "tests of Chinese print are"
