# Encodes test sources, decodes them again, and says what came out.
set -e
cd "$(mktemp -d)"
quiet="ffmpeg -hide_banner -loglevel error -nostdin -y -threads 2"
$quiet -f lavfi -i testsrc2=duration=2:size=320x240:rate=10 -f lavfi -i sine=duration=2 \
    -c:v ffv1 -level 3 -slices 4 -c:a flac -bitexact -fflags +bitexact lossless.mkv
$quiet -i lossless.mkv -map 0:v -f md5 - -map 0:a -f md5 -
$quiet -f lavfi -i testsrc2=duration=2:size=320x240:rate=10 -f lavfi -i sine=duration=2 -map 0:v -f md5 - -map 1:a -f md5 -
$quiet -i lossless.mkv -c:v mpeg4 -qscale:v 5 -c:a aac -bitexact -fflags +bitexact -f matroska lossy.mkv
sha256sum lossless.mkv
ffprobe -loglevel error -show_entries stream=codec_name,width,height,nb_read_packets -count_packets -of csv=p=0 lossy.mkv
$quiet -i lossy.mkv -vf scale=160:120,hflip -f rawvideo -pix_fmt yuv420p pipe:1 | wc -c
mkfifo fifo
$quiet -i lossless.mkv -map 0:v -c copy -f matroska fifo & $quiet -i fifo -f framemd5 - | grep -v '^#' | wc -l
wait
$quiet -i lossless.mkv -ss 1 -frames:v 1 frame.png
$quiet -i frame.png -f md5 -
$quiet -i absent.mkv -f null - || echo "failed: $?"
