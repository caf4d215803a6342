# Run while building: fetches the page's libraries and makes the page; without npm, node or the network an
# empty page, which the program then says. The build goes on in any case.
# cmake -DSOURCE= -DWORK= -DVERSION= -DPAGE= -DLICENCES= -P html.cmake
find_program(npm npm)
find_program(node node)
set(why "")
if(NOT npm OR NOT node)
  set(why "npm and node are not installed")
else()
  # What was fetched once is good until another version is asked for.
  file(SHA256 ${SOURCE}/package-lock.json wanted)
  set(fetched "")
  if(EXISTS ${WORK}/fetched)
    file(READ ${WORK}/fetched fetched)
  endif()
  set(failed 0)
  if(NOT fetched STREQUAL wanted)
    file(MAKE_DIRECTORY ${WORK})
    file(COPY ${SOURCE}/package.json ${SOURCE}/package-lock.json ${SOURCE}/.npmrc DESTINATION ${WORK})
    execute_process(COMMAND ${npm} ci --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-retries=1
        --fetch-timeout=60000
      WORKING_DIRECTORY ${WORK} TIMEOUT 300 RESULT_VARIABLE failed OUTPUT_VARIABLE output ERROR_VARIABLE output)
  endif()
  if(failed)
    set(why "npm could not fetch uplot")
  else()
    file(WRITE ${WORK}/fetched ${wanted})
    execute_process(COMMAND ${node} ${SOURCE}/build.mjs ${SOURCE} ${WORK}/node_modules ${VERSION} ${PAGE} ${LICENCES}
      RESULT_VARIABLE failed)
    if(failed)
      message(FATAL_ERROR "the HTML report's page could not be made")
    endif()
  endif()
endif()
if(why)
  file(WRITE ${PAGE} "")
  file(WRITE ${LICENCES} "")
  message(NOTICE "poolprof: built without `--format html`: ${why}; remove ${PAGE} to try again")
endif()
